"""Foreign files, parsed by a process of their own within bounds."""
