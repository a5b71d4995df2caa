"""Tables and masks that other programs write, and how they find their film."""
