"""The tracked files of git checkouts at one revision, whatever the working tree looks like."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxformer.data.documents import Document, Dropped
from jaxformer.data.recipe import Git
from jaxformer.data.sources import files, licenses
from jaxformer.data.sources.files import Refused, Unit
from jaxformer.errors import UserError

_REGULAR = ("100644", "100755", "100664")


def plan(source: Git) -> Iterator[Unit]:
    """Yield units of a checkout each: `root`, `commit`, and `files`.

    A file is the hash, the size, the name in the source and the licence of a blob. Submodules and
    links are left out. Where a pattern matches, what is no checkout is passed over.

    Raises:
        UserError: If nothing is a checkout, or one lacks the revision.
    """
    checkouts = 0
    for root, name in files.locate(source.path):
        if _git(root, "rev-parse", "--git-dir") is None:
            continue
        checkouts += 1
        revision = f"{source.revision}^{{commit}}"
        commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", revision)
        if commit is None:
            raise UserError(
                f"The git checkout {root} has no revision {source.revision}; fetch or correct it."
            )
        hash = commit.decode().strip()
        for unit in files.batches(_files(source, root, name, hash)):
            yield {**unit, "root": root, "commit": hash}
    if not checkouts:
        raise UserError(
            f"{source.path} is no git checkout that git would read; clone it, or use a folder."
        )


def _files(source: Git, root: str, name: str, commit: str) -> Iterator[tuple[int, list[Any]]]:
    listing = _git(root, "ls-tree", "-r", "-z", "--long", commit)
    if listing is None:
        raise UserError(f"git cannot list {commit} of {root}; try git -C {root} fsck.")
    blobs: dict[str, tuple[str, int]] = {}
    for line in listing.split(b"\0")[:-1]:
        about, _, path = line.partition(b"\t")
        mode, _, hash, size = about.decode().split()
        if mode in _REGULAR:
            blobs[os.fsdecode(path)] = hash, int(size) if size.isdigit() else 0
    known = {} if source.license else _licenses(root, blobs)
    wanted = files.chooser(source.include, source.exclude)
    prefix = f"{name}/" if name else ""
    for path, (hash, size) in blobs.items():
        if wanted(path):
            license = source.license or licenses.nearest(path, known)
            yield size, [hash, size, prefix + path, license]


def _licenses(root: str, blobs: dict[str, tuple[str, int]]) -> dict[str, str]:
    paths = [path for path in blobs if licenses.is_license(path)]
    if not paths:
        return {}
    contents = dict(zip(paths, _contents(root, [blobs[path] for path in paths]), strict=True))

    def read(path: str) -> bytes:
        content = contents[path]
        return b"" if isinstance(content, Refused) else content

    return licenses.by_folder(paths, read)


def read(source: Git, unit: Unit, encoding: bool) -> Iterator[Document | Dropped]:
    """Yield the documents of a unit."""
    contents = _contents(unit["root"], [(hash, size) for hash, size, _, _ in unit["files"]])
    for (_, size, name, license), content in zip(unit["files"], contents, strict=True):
        yield files.to_document(content, name, source.language, license, encoding, size)


def _contents(root: str, blobs: Sequence[tuple[str, int]]) -> Iterator[bytes | Refused]:
    """Yield the bytes of blobs, from one process of git."""
    with tempfile.TemporaryFile() as requests:
        small = (hash for hash, size in blobs if size <= files.FILE_LIMIT)
        requests.write("".join(f"{hash}\n" for hash in small).encode())
        requests.seek(0)
        command = ["git", "-C", root, "cat-file", "--batch", "--buffer"]
        with subprocess.Popen(
            command,
            stdin=requests,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        ) as process:
            assert process.stdout
            for _, size in blobs:
                if size > files.FILE_LIMIT:
                    yield files.too_large(size)
                    continue
                about = process.stdout.readline().split()
                if len(about) != 3:  # "HASH missing", or the end of a process that failed
                    yield Refused("unreadable", "git no longer has it")
                    continue
                length = int(about[2])
                content = process.stdout.read(length)
                process.stdout.read(1)
                whole = len(content) == length
                yield content if whole else Refused("damaged", "git broke off")


def _git(root: str, *arguments: str) -> bytes | None:
    """Return what a git command prints, or None if it fails."""
    if not Path(root).is_dir():
        return None
    command = ["git", "-C", root, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=_environment())
    except FileNotFoundError as error:
        raise UserError("git is not installed; a source of kind git needs it.") from error
    return None if done.returncode else done.stdout


def _environment() -> dict[str, str]:
    """Return the environment without what would point git at another repository or the net."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
    }
    return {**kept, "GIT_NO_LAZY_FETCH": "1"}
