"""The Runs panel: finished trainings beside each other."""
