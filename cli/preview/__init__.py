"""The effect of a change on a stack, as a comment on a pull request, made from the engine's own events."""
