"""Showing to a person what a program nobody has read has printed."""


def plain(text: str) -> str:
    """Return text that cannot steer the terminal: other control characters become visible."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)
