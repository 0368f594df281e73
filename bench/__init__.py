"""Harnesses that measure the platform, print a table and draw a plot. They are run by hand, never by `make test`."""
