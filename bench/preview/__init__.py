"""Measures how long a preview takes, by the size of the stack."""
