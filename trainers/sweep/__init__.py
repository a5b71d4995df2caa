"""Several trainings of one recipe, and their table."""
