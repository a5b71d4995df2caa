"""What every export format shares."""
