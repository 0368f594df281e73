"""Prometheus of an environment. Empty, so that its settings are imported without an engine."""
