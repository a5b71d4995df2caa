"""What runs a recipe: the loop, its phases, its records."""
