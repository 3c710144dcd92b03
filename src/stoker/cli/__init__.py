"""The command line. A surface: it may import everything, and nothing imports it."""
