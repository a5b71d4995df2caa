"""What the tests make and do more than once: films, projects, hands, children."""
