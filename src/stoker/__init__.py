"""Background jobs for Python web applications."""
