"""Apache Flink. Kept empty: memory.py and config.py are imported where there is no Pulumi engine."""
