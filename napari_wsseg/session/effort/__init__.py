"""What reading costs: active seconds, what masks begin with, a study's arms."""
