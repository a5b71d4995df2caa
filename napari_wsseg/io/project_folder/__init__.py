"""What lies in a project folder beside the index, and how it is kept whole."""
