"""What orders of films go by, and how films are ranked by it."""
