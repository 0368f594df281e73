"""Whether a job keeps its state, and loses nothing, while it is upgraded again and again."""
