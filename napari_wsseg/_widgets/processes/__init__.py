"""Child processes that the window starts, and the lines they answer with."""
