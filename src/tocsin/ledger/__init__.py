"""What follows from events alone: fold, queries, checkpoint."""
