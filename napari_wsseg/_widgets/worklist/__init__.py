"""The worklist: which films there are and which is next."""
