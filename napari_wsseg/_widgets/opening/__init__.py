"""Before a film is on screen: the start page, a new project, the tour of the sample."""
