"""The stacks: their settings, and what each kind of stack is composed of."""
