"""The common parts of all harnesses: a Flink cluster of its own on a running platform, load for it, and readers."""
