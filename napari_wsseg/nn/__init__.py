"""Torch modules, forward only: no loops, no files."""
