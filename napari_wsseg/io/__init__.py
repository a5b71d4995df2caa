"""The readers and writers of disk."""
