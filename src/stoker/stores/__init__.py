"""Stores: the logic of each kind of database, without connections. They never import each other."""
