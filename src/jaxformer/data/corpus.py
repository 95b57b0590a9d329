"""Python source at hand: the standard library and the packages that are installed."""

import hashlib
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from jaxformer.data.documents import Document
from jaxformer.data.filters import apply
from jaxformer.data.recipe import Filters


def python_sources(megabytes: float, seed: int) -> Iterator[Document]:
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
        document = apply(Document(text, str(path), "python"), Filters())
        if digest in seen or not isinstance(document, Document):
            continue
        seen.add(digest)
        yield document
        left -= len(text)
        if left <= 0:
            return
