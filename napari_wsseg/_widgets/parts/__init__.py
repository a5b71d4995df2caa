"""Building blocks that panels share; none knows what a project is."""
