"""The benchmarks' files as their authors publish them, for those who have the internet."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from jaxformer.cache import cache_folder
from jaxformer.data.atomic import room, whole
from jaxformer.errors import UserError

PATIENCE = 30.0
"""Seconds without a byte."""
_GITHUB = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Published:
    """A file of one commit of its authors' repository.

    Attributes:
        name: Of the file here.
        url: Of the file there.
        sha256: Of its content; empty where none is known, so that the commit alone fixes it.
    """

    name: str
    url: str
    sha256: str = ""


PUBLISHED = {
    "humaneval": Published(
        "HumanEval.jsonl.gz",
        f"{_GITHUB}/openai/human-eval/6d43fb980f9fee3c892a914eda09951f772ad10d"
        "/data/HumanEval.jsonl.gz",
        "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
    ),
    "mbpp": Published(
        "mbpp.jsonl",
        f"{_GITHUB}/google-research/google-research/f82046ba5aabbbb427dbfd38a254d26bff08b533"
        "/mbpp/mbpp.jsonl",
        "ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",
    ),
    "mtpb": Published(
        "mtpb.jsonl",
        f"{_GITHUB}/salesforce/CodeGen/77be8d8c002f470f2389dbce4ad7671abce5a934"
        "/benchmark/mtpb.jsonl",
    ),
}


def folder() -> Path:
    """Return where downloaded benchmarks are kept.

    Raises:
        UserError: If the user has no home.
    """
    try:
        return cache_folder() / "benchmarks"
    except RuntimeError as error:
        raise UserError("There is no home to keep downloads in; set XDG_CACHE_HOME.") from error


def fetch(published: Published, folder: Path, console: Console) -> Path:
    """Return a benchmark's file, downloaded unless it is here already.

    Args:
        published: Which.
        folder: Where it is kept.
        console: Where progress is shown.

    Raises:
        UserError: If it cannot be downloaded or kept, or is not what was published.
    """
    path = folder / published.name
    if path.exists():
        _check(path, published.sha256, path)
        return path
    with room(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder} cannot be made: {error.strerror}.") from error
        with whole(path) as part:
            _download(published, part, console)
            _check(part, published.sha256, published.url)
    return path


def _download(published: Published, part: Path, console: Console) -> None:
    columns = (TextColumn(published.name), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        with (
            httpx.stream("GET", published.url, timeout=PATIENCE, follow_redirects=True) as response,
            Progress(*columns, console=console, disable=not console.is_terminal) as progress,
            part.open("wb") as file,
        ):
            response.raise_for_status()
            size = response.headers.get("Content-Length")
            task = progress.add_task("", total=int(size) if size else None)
            for piece in response.iter_bytes():
                file.write(piece)
                progress.advance(task, len(piece))
    except httpx.HTTPError as error:
        raise UserError(
            f"{published.url} cannot be downloaded ({error or type(error).__name__}); check the "
            "connection, or bring the file and say where it is with --problems."
        ) from error


def _check(path: Path, sha256: str, origin: object) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 and found != sha256:
        raise UserError(
            f"{origin} is not the published file (its SHA-256 is {found[:12]}…, not "
            f"{sha256[:12]}…); remove it and try again."
        )
