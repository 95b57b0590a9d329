"""Python source at hand: the standard library and the packages that are installed."""

import ast
import hashlib
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path


def keep(text: str) -> bool:
    """Apply the paper's filters, and drop what does not parse.

    A file goes when its mean line is longer than 100 characters, a line is longer than 1,000, or
    more than 90 % of its characters are decimal or hexadecimal digits.
    """
    lines = text.splitlines()
    if not lines:
        return False
    digits = sum(c in "0123456789abcdefABCDEF" for c in text)
    too_long = len(text) > 100 * len(lines) or max(map(len, lines)) > 1000
    if too_long or digits > 0.9 * len(text):
        return False
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def python_sources(megabytes: float, seed: int) -> Iterator[str]:
    """Yield distinct Python files of this interpreter in a seeded order, up to a total size."""
    roots = {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")}
    paths = sorted({path for root in roots for path in root.rglob("*.py")})
    random.Random(seed).shuffle(paths)
    seen: set[bytes] = set()
    left = megabytes * 1e6
    for path in paths:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        digest = hashlib.sha256(text.encode()).digest()
        if digest in seen or not keep(text):
            continue
        seen.add(digest)
        yield text
        left -= len(text)
        if left <= 0:
            return
