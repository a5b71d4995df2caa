"""The film itself: its layers, its tools, and what turns one film into the next."""
