"""What the sources share: finding files, cutting them into units, and bytes into documents."""

import gzip
import importlib
import io
import os
import re
import stat
import sysconfig
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import translate
from glob import glob, has_magic
from pathlib import Path
from typing import Any, TypeAlias

from jaxformer.data.documents import Document, Dropped
from jaxformer.data.languages import detect
from jaxformer.errors import UserError

Unit: TypeAlias = dict[str, Any]
"""A piece of work that JSON can hold; `size` is its bytes of input, 0 if unknown."""

UNIT_BYTES = 4_000_000
FILE_LIMIT = 64_000_000
"""A document above this is never in memory as a whole."""

_OPENING = 4096
"""What opening a file costs, in bytes: units of many small files are no larger than others."""
_SKIPPED = {".git", "__pycache__"}


class Refused(Exception):
    """What is wrong with a document: the rule that drops it, and why."""

    def __init__(self, rule: str, detail: str):
        super().__init__(rule, detail)
        self.rule, self.detail = rule, detail


def need(module: str) -> Any:
    """Return an optional package.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise UserError(
            f"The package {package} is missing: pip install 'jaxformer[data]'."
        ) from error


def expand(path: str) -> str:
    """Put this machine's folders for `~`, `{stdlib}` and `{packages}`."""
    path = path.replace("{stdlib}", sysconfig.get_path("stdlib"))
    path = path.replace("{packages}", sysconfig.get_path("purelib"))
    return os.path.expanduser(path)  # noqa: PTH111 (leaves an unknown `~name` alone)


def locate(path: str) -> list[tuple[str, str]]:
    """Return what a source's path matches, sorted, each with the name it has in the source.

    The name counts from where the pattern's first wildcard stands; it is empty for a path that
    has none. What lies within another match is not named twice.

    Raises:
        UserError: If nothing is there.
    """
    pattern = os.path.abspath(expand(path))  # noqa: PTH100 (resolves no links)
    if not has_magic(pattern) or os.path.lexists(pattern):
        matches, head = ([pattern] if Path(pattern).exists() else []), pattern
    else:
        matches = glob(pattern, recursive=True)  # noqa: PTH207 (an absolute pattern)
        matches.sort(key=lambda match: match.split("/"))
        parts = pattern.split("/")
        head = "/".join(parts[: [has_magic(part) for part in parts].index(True)])
    if not matches:
        raise UserError(f"There is no {path}; correct the path of the source.")
    outer: list[str] = []
    for match in (match.rstrip("/") for match in matches):
        if not outer or not f"{match}/".startswith(f"{outer[-1]}/"):
            outer.append(match)
    return [(match, match[len(head) :].strip("/")) for match in outer]


def walk(root: str) -> Iterator[tuple[str, int | None]]:
    """Yield the regular files below a folder with their sizes, in a fixed order.

    The paths are relative. Links are not followed; a folder that cannot be listed is yielded
    itself, without a size.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        inner: list[str] = []
        try:
            with os.scandir(f"{root}/{folder}") as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            yield folder.rstrip("/"), None
            continue
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED:
                    inner.append(f"{folder}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                try:
                    yield folder + entry.name, entry.stat(follow_symlinks=False).st_size
                except OSError:
                    yield folder + entry.name, 0
        folders += reversed(inner)


def chooser(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    """Return whether a relative path is wanted: it or its file name matches the patterns."""

    def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
        match = re.compile("|".join(map(translate, patterns))).match
        return lambda path: bool(match(path) or match(path[path.rfind("/") + 1 :]))

    included = matcher(include or ("*",))
    if not exclude:
        return included
    excluded = matcher(exclude)
    return lambda path: included(path) and not excluded(path)


def batches(files: Iterable[tuple[int, list[Any]]]) -> Iterator[Unit]:
    """Gather files, each with its size, into units of about `UNIT_BYTES`."""
    chosen: list[list[Any]] = []
    size = cost = 0
    for length, file in files:
        chosen.append(file)
        size += length
        cost += length + _OPENING
        if cost >= UNIT_BYTES:
            yield {"size": size, "files": chosen}
            chosen, size, cost = [], 0, 0
    if chosen:
        yield {"size": size, "files": chosen}


def shown(path: str) -> str:
    """Return a path that UTF-8 can hold."""
    return path if path.isascii() else path.encode("utf-8", "replace").decode()


def read_regular(path: str) -> bytes:
    """Return the bytes of a regular file; anything else would block or never end.

    Raises:
        Refused: If it cannot be read or is too large.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise Refused("unreadable", "no regular file")
            if status.st_size > FILE_LIMIT:
                raise too_large(status.st_size)
            with open(handle, "rb", closefd=False) as file:
                return file.read(FILE_LIMIT + 1)
        finally:
            os.close(handle)
    except OSError as error:
        raise Refused("unreadable", error.strerror or str(error)) from error


def too_large(size: int | None = None) -> Refused:
    """Return the refusal of a document that is never read as a whole."""
    length = f"{size:,} bytes, " if size else ""
    return Refused("size", f"too large: {length}more than {FILE_LIMIT:,}")


def _gunzip(data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            data = file.read(FILE_LIMIT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Refused("damaged", f"damaged gzip: {error}") from error
    if len(data) > FILE_LIMIT:
        raise too_large()
    return data


def decode(data: bytes, encoding: bool) -> str:
    """Return bytes as text; `encoding` refuses what is no UTF-8 text, else it is replaced."""
    try:
        text = data.decode("utf-8", "strict" if encoding else "replace")
    except UnicodeDecodeError as error:
        raise Refused("encoding", f"no UTF-8 at byte {error.start}") from error
    return _plain(text, encoding)


def tidy(text: str, encoding: bool) -> str:
    """Return a string of JSON as text; unlike decoded bytes, it may hold lone surrogates."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            if encoding:
                raise Refused("encoding", f"lone surrogate at {error.start}") from error
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _plain(text, encoding)


def _plain(text: str, encoding: bool) -> str:
    if encoding and "\0" in text:
        raise Refused("encoding", f"NUL at {text.index(chr(0))}")
    text = text.removeprefix("\ufeff")
    return text.replace("\r\n", "\n") if "\r" in text else text


def not_empty(text: str) -> str:
    """Refuse a text of nothing, or of white space alone."""
    if not text or text.isspace():
        raise Refused("empty", "no text at all")
    return text


def to_document(
    content: bytes | Refused, path: str, language: str, license: str, encoding: bool, size: int = 0
) -> Document | Dropped:
    """Return the document of a file's bytes; those of `NAME.gz` are those of `NAME`, compressed."""
    path = shown(path)
    zipped = path.endswith(".gz")
    name = path.removesuffix(".gz")
    try:
        if isinstance(content, Refused):
            raise content
        size = len(content)
        text = not_empty(decode(_gunzip(content) if zipped else content, encoding))
    except Refused as refused:
        told = language or detect(name, "")
        return Dropped(path, refused.rule, refused.detail, size, told, license)
    return Document(text, path, language or detect(name, text), license)
