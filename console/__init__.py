"""Paths, locks, steps and child processes, on which every command builds. Imports nothing else of the project."""
