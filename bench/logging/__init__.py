"""Measures the loss of log lines, and the cost of shipping them."""
