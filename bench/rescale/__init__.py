"""How long a running job is disturbed when processes come, go or are lost."""
