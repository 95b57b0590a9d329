"""The same run on any mesh of devices, in one process and in two."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

RECIPE = """
name = "tiny"
context = 32
tokenizer = "nano"
precision = "float32"
held_out = 8
[model]
vocab_size = 4096
n_positions = 64
n_embd = 64
n_layer = 2
n_head = 4
rotary_dim = 8
[[stages]]
name = "only"
data = [{ exercises = 400 }]
steps = 12
batch = 16
learning_rate = 3e-3
warmup = 2
"""
MESHES = ["1x1x1", "2x2x2", "1x8x1", "8x1x1"]
SCANNED = "2x2x2-scan"
WORKER = Path(__file__).with_name("mesh_worker.py")


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(WORKER), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=400)
    assert process.returncode == 0, out
    return out


def losses(run: Path) -> list[float]:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [record["loss"] for record in records if "loss" in record]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe, and a folder with its run on one device and on three meshes of eight."""
    out = tmp_path_factory.mktemp("meshes")
    recipe = out / "tiny.toml"
    recipe.write_text(RECIPE)
    finish(start("train", 1, recipe, out, MESHES[0]))
    finish(start("train", 8, recipe, out, *MESHES[1:], SCANNED))
    return recipe, out


def test_every_mesh_gives_the_same_losses(runs):
    _, out = runs
    want = losses(out / MESHES[0])
    assert len(want) == 12
    assert want[-1] < want[0] - 0.5
    for mesh in [*MESHES[1:], SCANNED]:
        np.testing.assert_allclose(losses(out / mesh), want, rtol=1e-5)


def test_a_checkpoint_restores_exactly_on_every_mesh(runs):
    recipe, out = runs
    for first in ("2x2x2", "1x8x1"):
        others = [mesh for mesh in MESHES if mesh != first]
        assert "equal on 4 meshes" in finish(start("compare", 8, recipe, out, first, *others))


@pytest.mark.parametrize("mesh", ["1x8x1", "2x2x2"])
def test_two_processes_of_four_devices_give_the_same_losses(runs, tmp_path, mesh):
    recipe, out = runs
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    processes = [
        start("host", 4, recipe, tmp_path, f"127.0.0.1:{port},2,{number}", mesh)
        for number in range(2)
    ]
    for process in processes:
        finish(process)
    np.testing.assert_allclose(losses(tmp_path / mesh), losses(out / MESHES[0]), rtol=1e-5)
    assert (tmp_path / mesh / "codegen-tiny-only" / "model.safetensors").exists()
