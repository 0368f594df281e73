"""Where logs can go, a module for each kind: its settings, its Secret's keys, and what both agents are told of it."""
