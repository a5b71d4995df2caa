"""The Review panel: what is said of the open film, and the tools that draw on it."""
