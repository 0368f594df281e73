"""What keeps environments apart. Empty, so that its settings are imported without an engine."""
