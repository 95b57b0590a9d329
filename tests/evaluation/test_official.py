"""Downloads arrive whole and as published, or not at all."""

import hashlib
import http.server
import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from jaxformer.errors import UserError
from jaxformer.evaluation.official import PUBLISHED, Published, fetch

CONTENT = b'{"id": 1}\n' * 20_000
CONSOLE = Console(file=io.StringIO())


@pytest.fixture
def published() -> Iterator[Published]:
    """A file on a server of ours; `/short` breaks off, what else there is not."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: object, **_: object) -> None:
            pass

        def do_GET(self) -> None:
            found = self.path in ("/own.jsonl", "/short")
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(CONTENT) if found else 0))
            self.end_headers()
            if found:
                self.wfile.write(CONTENT[: 500 if self.path == "/short" else None])

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/own.jsonl"
    yield Published("own.jsonl", url, hashlib.sha256(CONTENT).hexdigest())
    server.shutdown()
    server.server_close()


def test_a_file_is_fetched_once(published: Published, tmp_path: Path):
    folder = tmp_path / "cache" / "benchmarks"
    path = fetch(published, folder, CONSOLE)
    assert path.read_bytes() == CONTENT
    dead = replace(published, url="http://127.0.0.1:9/own.jsonl")
    assert fetch(dead, folder, CONSOLE) == path


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("own.jsonl", "not the published file"),
        ("short", "cannot be downloaded"),
        ("absent", "404"),
        ("http://127.0.0.1:9/", "check the connection"),
    ],
)
def test_nothing_else_is_kept(published: Published, tmp_path: Path, url: str, complaint: str):
    other = replace(published, url=url if ":" in url else published.url.replace("own.jsonl", url))
    if url == "own.jsonl":
        other = replace(other, sha256="0" * 64)
    with pytest.raises(UserError, match=complaint):
        fetch(other, tmp_path, CONSOLE)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_changed_is_not_taken(published: Published, tmp_path: Path):
    path = fetch(published, tmp_path, CONSOLE)
    path.write_bytes(CONTENT + b"{}\n")
    with pytest.raises(UserError, match="remove it"):
        fetch(published, tmp_path, CONSOLE)


@pytest.mark.parametrize("published", PUBLISHED.values(), ids=PUBLISHED)
def test_every_file_is_of_one_commit(published: Published):
    parts = published.url.split("/")
    assert any(len(part) == 40 and set(part) <= set("0123456789abcdef") for part in parts)
    assert parts[-1] == published.name
