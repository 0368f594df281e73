"""What becomes of lines that a job logs, and what shipping them costs it."""
