"""What is drawn and measured with on the film."""
