"""Arrays in, arrays out: the maths between a heat map and a mask."""
