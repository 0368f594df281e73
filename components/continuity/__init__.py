"""The resources that hold an environment's data, and the changes that would lose it."""
