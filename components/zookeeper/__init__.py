"""Apache ZooKeeper. Empty, so that its settings are imported without an engine."""
