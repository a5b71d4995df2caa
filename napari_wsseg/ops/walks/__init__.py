"""How a random walk is computed: maxima of paths, and powers of the operator."""
