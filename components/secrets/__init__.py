"""Secrets in texts: what one looks like, where it is in a text, and the mask that hides it in all that is printed."""
