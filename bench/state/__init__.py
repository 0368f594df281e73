"""Checks that a job keeps its state when people act on it."""
