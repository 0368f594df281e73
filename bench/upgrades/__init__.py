"""Checks that a job keeps its state and loses no record through many upgrades."""
