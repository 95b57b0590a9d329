"""Every regular file of folders."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxformer.data.documents import Document, Dropped
from jaxformer.data.recipe import Folder
from jaxformer.data.sources import files, licenses
from jaxformer.data.sources.files import Refused, Unit

_SHARED = {"site-packages", "dist-packages"}
"""Folders of many projects: a licence that one of them left there is not that of the others."""


def plan(source: Folder) -> Iterator[Unit]:
    """Yield units whose `files` are the path, the name in the source and the licence of each."""
    return files.batches(
        found for root, name in files.locate(source.path) for found in _files(source, root, name)
    )


def _files(source: Folder, root: str, name: str) -> Iterator[tuple[int, list[Any]]]:
    if not Path(root).is_dir():
        path = Path(root).resolve()
        yield path.stat().st_size, [str(path), name or Path(root).name, source.license]
        return
    found = list(files.walk(root))
    known = {} if source.license else _licenses(root, [path for path, _ in found])
    wanted = files.chooser(source.include, source.exclude)
    prefix = f"{name}/" if name else ""
    for path, size in found:
        if size is None or wanted(path):
            license = source.license or licenses.nearest(path, known)
            yield size or 0, [f"{root}/{path}", prefix + path, license]


def _licenses(root: str, paths: list[str]) -> dict[str, str]:
    def read(path: str) -> bytes:
        try:
            return files.read_regular(f"{root}/{path}")
        except Refused:
            return b""

    own = [p for p in paths if licenses.is_license(p) and Path(root, p).parent.name not in _SHARED]
    return licenses.by_folder(own, read)


def read(source: Folder, unit: Unit, encoding: bool) -> Iterator[Document | Dropped]:
    """Yield the documents of a unit."""
    for path, name, license in unit["files"]:
        try:
            content = files.read_regular(path)
        except Refused as refused:
            content = refused
        yield files.to_document(content, name, source.language, license, encoding)
