"""Compiled programs are kept between commands, and never stand in the way."""

import os
import subprocess
import sys
from pathlib import Path


def complete(cache: Path | str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    command = ["complete", "def add(a, b):", "--max-new-tokens", "8", "--temperature", "0"]
    return subprocess.run(
        [sys.executable, "-m", "jaxformer.cli.main", *command],
        capture_output=True, text=True, check=True,
        env=environment | {"XDG_CACHE_HOME": str(cache)},
    )  # fmt: skip


def test_what_is_kept_is_used_and_what_is_broken_is_made_again(tmp_path: Path):
    first = complete(tmp_path)
    kept = {path.name: path.read_bytes() for path in tmp_path.rglob("*-cache")}
    assert any(name.startswith("jit__chunk") for name in kept)
    assert any(name.startswith("jit__behind") for name in kept)  # compiled in a moment
    again = complete(tmp_path)
    assert (again.stdout, again.stderr) == (first.stdout, "")
    assert {path.name for path in tmp_path.rglob("*-cache")} == set(kept)
    for path in tmp_path.rglob("*-cache"):
        path.write_bytes(path.read_bytes()[:50])  # as if killed while writing
    assert complete(tmp_path).stdout == first.stdout


def test_a_folder_that_cannot_be_written_changes_nothing():
    run = complete("/proc/none")
    assert run.stdout
    assert run.stderr == ""
