"""Destinations of logs. The module of each has its settings, its Secret's keys, and its part of both agents' files."""
