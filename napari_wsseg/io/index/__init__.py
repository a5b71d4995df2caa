"""The project's index: one module a table."""
