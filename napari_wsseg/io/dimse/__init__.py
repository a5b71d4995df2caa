"""Archives that speak DIMSE (PS3.7): C-FIND, C-GET or C-MOVE, C-STORE."""
