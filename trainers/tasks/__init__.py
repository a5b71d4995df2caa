"""What recipes teach: image labels, masks, and where a network starts."""
