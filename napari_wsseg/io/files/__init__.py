"""How files of a project are held, shared and read by the row."""
