"""Drivers: connections of one client library each, without any logic of jobs. They never import each other."""
