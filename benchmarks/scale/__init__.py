"""How the program grows with the number of films."""
