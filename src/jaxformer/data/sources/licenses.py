"""Licences, as far as licence files tell them."""

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from jaxformer.data.languages import detect
from jaxformer.data.sources.files import need

_NAME = re.compile(r"(?:un)?licen[sc]es?(?:[._-].*)?|copying(?:[._-].*)?", re.IGNORECASE)
_PROSE = {"", "text", "markdown", "restructuredtext", "manual"}
LONGEST = 64_000
"""The longest licence that is known has 35 kB."""


def is_license(path: str) -> bool:
    """Tell whether a path is that of a licence: `LICENSE-MIT`, `COPYING.txt`, not `license.py`."""
    name = path[path.rfind("/") + 1 :]
    return bool(_NAME.fullmatch(name)) and detect(name, "") in _PROSE


@lru_cache(4096)
def identify(text: bytes) -> str:
    """Return the SPDX identifier of a licence's text, or nothing if it is none that is known."""
    if not text.strip() or len(text) > LONGEST:
        return ""
    license_id = need("identify.identify").license_id
    with tempfile.NamedTemporaryFile() as file:
        file.write(text.decode("utf-8", "replace").encode())
        file.flush()
        return license_id(file.name) or ""


def by_folder(paths: Iterable[str], read: Callable[[str], bytes]) -> dict[str, str]:
    """Return the licence of each folder that has licence files: the first that is identified.

    A folder whose licence is unknown counts as such; it does not get its parent's.
    """
    found: dict[str, str] = {}
    for path in sorted(filter(is_license, paths)):
        folder = path[: max(path.rfind("/"), 0)]
        found[folder] = found.get(folder) or identify(read(path))
    return found


def nearest(path: str, found: Mapping[str, str]) -> str:
    """Return the licence of the nearest folder above a file that has one, or nothing."""
    while found and path:
        path = path[: max(path.rfind("/"), 0)]
        if path in found:
            return found[path]
    return ""
