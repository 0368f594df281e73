"""Measures how long a running job is disturbed when processes are added, removed or lost."""
