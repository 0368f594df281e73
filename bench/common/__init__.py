"""What every harness shares: a Flink cluster of its own on a platform that runs, load for it, and reading it back."""
