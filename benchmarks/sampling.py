"""Milliseconds to draw tokens: the kernel, its definition on XLA, and transformers on PyTorch.

    python benchmarks/sampling.py
    python benchmarks/sampling.py --vocabulary 4096 --rounds 50

The scores are normal, with a deviation of 3 (a model that knows little: thousands of tokens make up
95 %) or of 8 (a few dozen do). Before timing, kernel and definition must draw the same tokens, and
transformers must keep what they draw. Then all take turns; the figures are medians, with the range
in brackets.
"""

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import torch
import typer
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

from jaxformer.generation.sampling import Sampling, sample
from jaxformer.model import native

WAYS = {"0.2, top-p 0.95": (0.2, 0.95), "0.8, top-p 0.95": (0.8, 0.95), "1, all": (1.0, 1.0)}


def kept_by_transformers(scores: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """Return probabilities, zero where a token is not to be drawn."""
    warpers = [TemperatureLogitsWarper(temperature), TopPLogitsWarper(top_p)]
    processed = LogitsProcessorList(warpers)(torch.zeros(0), scores)  # pyright: ignore[reportArgumentType]
    return torch.softmax(processed, dim=-1)


def engines(
    scores: np.ndarray, temperature: float, top_p: float
) -> dict[str, Callable[[], np.ndarray]]:
    """Return what draws a token for each row, by name; the first two draw the same."""
    rows, vocabulary = scores.shape
    sampling = Sampling(
        jnp.full(rows, temperature, jnp.float32), jnp.full(rows, top_p, jnp.float32),
        jnp.zeros(rows, jnp.int32), jnp.arange(rows, dtype=jnp.uint32),
    )  # fmt: skip
    places = jnp.arange(rows, dtype=jnp.int32)
    ours, theirs = jnp.asarray(scores), torch.from_numpy(scores)
    kernel = jax.jit(lambda x: native.draw(x, vocabulary, *sampling, places)[0])
    definition = jax.jit(lambda x: sample(x, sampling, places)[0])

    def peer() -> np.ndarray:
        return torch.multinomial(kept_by_transformers(theirs, temperature, top_p), 1).numpy()

    return {
        "kernel": lambda: np.asarray(kernel(ours)),
        "XLA": lambda: np.asarray(definition(ours)),
        "transformers": peer,
    }


def compare(drawing: dict[str, Callable[[], np.ndarray]], kept: torch.Tensor) -> None:
    """Leave, with a sentence, if they draw other tokens."""
    tokens, same = drawing["kernel"](), drawing["XLA"]()
    if (tokens != same).any():
        raise SystemExit("Kernel and definition draw different tokens.")
    if not (kept.gather(1, torch.tensor(tokens).long()[:, None]) > 0).all():
        raise SystemExit("Transformers would not keep what is drawn.")


def timed(draw: Callable[[], np.ndarray]) -> float:
    """Return milliseconds."""
    start = time.perf_counter()
    draw()
    return 1e3 * (time.perf_counter() - start)


def main(
    vocabulary: Annotated[int, typer.Option(help="Entries.")] = 51200,
    rounds: Annotated[int, typer.Option(help="Times that each draws.")] = 15,
) -> None:
    """Print a table."""
    print(f"vocabulary {vocabulary:,}, kernels {native.instruction_set()}; milliseconds")
    print(f"{'rows':>5} {'scores':>7} {'temperature':>16}", end="")
    print(*(f"{name:>24}" for name in ("kernel", "XLA", "transformers")))
    for rows in (1, 16, 32):
        for spread in (3, 8):
            normal = np.random.default_rng(0).normal(0, spread, (rows, vocabulary))
            scores = normal.astype(np.float32)
            for name, (temperature, top_p) in WAYS.items():
                drawing = engines(scores, temperature, top_p)
                kept = kept_by_transformers(torch.from_numpy(scores), temperature, top_p)
                compare(drawing, kept)
                times = {engine: [] for engine in drawing}
                for _ in range(rounds):
                    for engine, draw in drawing.items():
                        times[engine].append(timed(draw))
                print(f"{rows:>5} {spread:>7} {name:>16}", end="")
                for each in times.values():
                    found = f"{statistics.median(each):.2f} ({min(each):.2f}-{max(each):.2f})"
                    print(f" {found:>24}", end="")
                print(flush=True)


if __name__ == "__main__":
    typer.run(main)
