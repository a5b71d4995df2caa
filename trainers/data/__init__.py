"""Films and targets as batches."""
