"""What a model in training writes: samples to read, and whether its programs are right."""

import json
from collections.abc import Sequence
from pathlib import Path

from jaxformer.checkpoints import Model
from jaxformer.generation import Request, generate

FILE = "samples.jsonl"
TOKENS = 64
"""Of a completion, at most."""


def write_samples(model: Model, prompts: Sequence[str], run: Path, stage: str, step: int) -> None:
    """Complete prompts and add them to a run's `samples.jsonl`.

    Args:
        model: As it is now.
        prompts: Any number.
        run: The run's folder.
        stage: The stage.
        step: Steps done in it.
    """
    room = max(1, min(TOKENS, model.config.n_positions // 2))
    requests = [Request(p, room, temperature=0.2, keep_end=True) for p in prompts]
    with (run / FILE).open("a", encoding="utf-8") as file:
        for prompt, made in zip(prompts, generate(model, requests), strict=True):
            record = {"stage": stage, "step": step, "prompt": prompt, "text": made.text}
            print(json.dumps(record), file=file, flush=True)
