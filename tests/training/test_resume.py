"""A run that was killed, or asked to end, ends with the same bits as one that was not."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RECIPE = """
name = "tiny"
context = 32
tokenizer = "nano"
held_out = 8
[model]
vocab_size = 4096
n_positions = 64
n_embd = 32
n_layer = 2
n_head = 4
rotary_dim = 8
[[stages]]
name = "one"
data = [{ exercises = 200 }]
steps = 300
batch = 8
learning_rate = 3e-3
warmup = 2
[[stages]]
name = "two"
data = [{ exercises = 200, first_seed = 1 }]
steps = 300
batch = 16
learning_rate = 3e-3
warmup = 2
"""
KILLS = 20


def command(recipe: Path, out: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "jaxformer.cli.main", "train", str(recipe), "--out", str(out)),
        *("--save-every", "15", "--accumulate", "2", "--evaluate-every", "60"),
    ]


def start(recipe: Path, out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(recipe, out),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"JAX_COMPILATION_CACHE_DIR": str(out.parent / "cache")},
    )


def finish(recipe: Path, out: Path) -> str:
    process = start(recipe, out)
    _, messages = process.communicate(timeout=300)
    assert process.returncode == 0, messages
    return messages


def weights(out: Path) -> list[bytes]:
    return [(out / f"codegen-tiny-{s}" / "model.safetensors").read_bytes() for s in ("one", "two")]


def done(out: Path) -> int:
    """Steps in the newest checkpoints of both stages."""
    return sum(
        max(
            (int(p.name) for p in (out / "state" / stage).glob("*") if p.name.isdecimal()),
            default=0,
        )
        for stage in ("one", "two")
    )


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("resume") / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def undisturbed(recipe: Path) -> Path:
    finish(recipe, recipe.parent / "undisturbed")
    return recipe.parent / "undisturbed"


def size(out: Path) -> int:
    path = out / "metrics.jsonl"
    return path.stat().st_size if path.exists() else 0


def wait_until_it_trains(process: subprocess.Popen[str], out: Path) -> None:
    """Wait for the first figures that a process writes."""
    before = size(out)
    while size(out) <= before and process.poll() is None:
        before = min(before, size(out))  # what lies behind the checkpoint is cut off first
        time.sleep(0.002)


def test_killed_twenty_times_it_ends_with_the_same_bits(recipe, undisturbed):
    rng = random.Random(0)
    out = recipe.parent / "killed"
    reached = []
    while len(reached) < KILLS:
        process = start(recipe, out)
        if len(reached) % 4 == 0:  # while it starts, restores or makes data
            time.sleep(rng.uniform(0.1, 5))
        else:  # while it trains, saves, measures or exports
            wait_until_it_trains(process, out)
            time.sleep(rng.uniform(0, 1.5))
        assert process.poll() is None, process.communicate()[1]
        process.kill()
        process.wait()
        reached.append(done(out))
    messages = finish(recipe, out)
    print(f"killed at checkpoints {reached}")
    assert len(set(reached)) >= 5
    if reached[-1] % 300:  # else the last process began a stage
        assert "goes on from step" in messages
    assert weights(out) == weights(undisturbed)
    assert steps(out) == steps(undisturbed)


def steps(out: Path) -> list[tuple[str, int]]:
    """Of which steps there are figures: each once, though some were done twice."""
    records = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    return [(record["stage"], record["step"]) for record in records if "loss" in record]


def test_asked_to_end_it_saves_and_ends_with_the_same_bits(recipe, undisturbed):
    out = recipe.parent / "asked"
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = start(recipe, out)
        wait_until_it_trains(process, out)
        before = done(out)
        process.send_signal(number)
        _, messages = process.communicate(timeout=60)
        assert process.returncode == status, messages
        assert "Traceback" not in messages
        said = re.search(
            r"Saved at step ([\d,]+) of stage (\w+); the same command goes on", messages
        )
        assert said, messages
        saved = out / "state" / said[2] / said[1].replace(",", "")
        assert saved.exists()
        assert done(out) > before or before == 0
    finish(recipe, out)
    assert weights(out) == weights(undisturbed)
