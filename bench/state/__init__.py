"""What becomes of a job's state when people act on it."""
