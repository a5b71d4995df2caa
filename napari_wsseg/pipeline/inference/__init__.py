"""How the maps of a stage are made."""
