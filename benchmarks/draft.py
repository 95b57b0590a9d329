"""Tokens a second with a smaller model that writes ahead: one that agrees, a stranger, and none.

    python benchmarks/draft.py                         # 2.1 billion parameters in bfloat16
    python benchmarks/draft.py --blocks 80 --dtype int8

The larger model is the smaller one (350M shape, random weights) and further blocks that add
nothing, so that both always agree: the most that a draft can bring at that cost. A stranger has
other random weights and agrees as far as the common noise decides. How often real models of one
family agree lies between. The tokens are compared first: all three ways write the same.
"""

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import typer
from decode import NANO

import jaxformer as jf
from jaxformer import tokenizer
from jaxformer.checkpoints import save_pretrained
from jaxformer.generation import Engine, Request
from jaxformer.model import RELEASED, CodeGenConfig, Params, init

PROMPT = "def f(a, b):\n    return a + b\n\n\n" * 4


def make(folder: Path, blocks: int) -> None:
    """Write the larger model, its draft and a stranger."""
    words = tokenizer.load(NANO)
    small = RELEASED["350M"].model_copy(
        update={"bos_token_id": words.eos_token_id, "eos_token_id": words.eos_token_id}
    )

    def write(name: str, config: CodeGenConfig, params: Params) -> None:
        save_pretrained(folder / name, config, params, words, dtype="bfloat16")

    params = init(small, jax.random.key(0), jnp.bfloat16)
    nothing = jax.tree.map(jnp.zeros_like, params["blocks"][0])
    more = [nothing] * (blocks - small.n_layer)
    write("draft", small, params)
    large = small.model_copy(update={"n_layer": blocks})
    write("large", large, params | {"blocks": [*params["blocks"], *more]})
    write("stranger", small, init(small, jax.random.key(1), jnp.bfloat16))


def main(
    blocks: Annotated[int, typer.Option(help="Of the larger model; its draft has 20.")] = 160,
    dtype: Annotated[str, typer.Option()] = "bfloat16",
    tokens: Annotated[int, typer.Option(help="Written at a time.")] = 96,
    rounds: Annotated[int, typer.Option()] = 3,
) -> None:
    """Make the models, compare what they write, and measure in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, blocks)
        large = jf.load(str(folder / "large"), dtype=dtype)
        drafts = {kind: jf.load(str(folder / kind), dtype=dtype) for kind in ("draft", "stranger")}
    engines = {"none": Engine(large, memory=0)}
    for kind, smaller in drafts.items():
        engines[kind] = Engine(replace(large, draft=smaller), memory=0)
    # At temperature 1 random weights do not fall into a loop, which look-up would guess.
    asked = Request(PROMPT, max_new_tokens=tokens, temperature=1.0, top_p=1.0, seed=7)
    [want], *others = (engine.generate([asked]) for engine in engines.values())
    assert all(want.tokens == found.tokens for [found] in others)
    print(f"{len(want.tokens)} tokens, the same in all three ways")
    rates: dict[str, list[float]] = {kind: [] for kind in engines}
    for number in range(rounds):
        for kind, engine in list(engines.items())[:: 1 if number % 2 else -1]:
            start = time.perf_counter()
            [done] = engine.generate([asked])
            rates[kind].append(len(done.tokens) / (time.perf_counter() - start))
    for kind, found in rates.items():
        counters = engines[kind].counters
        ratio = statistics.median(a / b for a, b in zip(found, rates["none"], strict=True))
        print(
            f"{kind:9} {statistics.median(found):6.1f} tokens/s "
            f"({min(found):.1f} to {max(found):.1f}), {ratio:.2f} times; "
            f"{counters.guessed_tokens} guessed, {counters.acceptance:.0%} right"
        )


if __name__ == "__main__":
    typer.run(main)
