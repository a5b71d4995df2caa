"""How a picture file is opened, whatever its kind."""
