"""How stages are compared with the truth."""
