"""What is shown over the film on demand: gallery and swipe."""
