"""What a change would do to a stack, as a comment on a pull request: made from the engine's own events."""
