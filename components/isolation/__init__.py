"""Isolation of environments from each other. Empty, so that its settings are imported without an engine."""
