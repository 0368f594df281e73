"""The Common Expression Language, in which the API server's policies are written."""


def quoted(text: str) -> str:
    """A text, in CEL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"
