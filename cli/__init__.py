"""The commands that `make` runs, on a local node or on any other cluster: python -m cli COMMAND."""
