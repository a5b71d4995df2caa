"""The films of a project as a list to read: what is known of each, and their order."""
