"""What the window looks like, and what it takes."""
