"""What is trained: models of rising size, each on the same text in the same stages."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jaxformer.data.atomic import save_json
from jaxformer.errors import UserError
from jaxformer.strict import Strict, check
from jaxformer.training import Recipe

FILE = "plan.json"
SHAPES = {"1M": (96, 3), "3M": (160, 5), "10M": (288, 8), "30M": (512, 8)}
"""Width and layers by size; all have four heads, the fewest that CodeGen's layout allows."""
SHARES = {"nl": 0.15, "multi": 0.15, "mono": 0.3, "exercises": 0.4}
"""Of the tokens that each stage reads; the paper's three stages, and conversations."""
TRAINING = 0.6
"""Of the budget; the rest is for measuring."""
BATCH, CONTEXT = 8, 256
MINUTES_A_CASE = 30
"""Of budget for each case of a problem that is measured."""

Rate = Callable[[Recipe], float]
"""Measures how many tokens a second a recipe trains with."""


class Ladder(Strict):
    """Everything that determines a study."""

    sizes: tuple[str, ...]
    """Names of `SHAPES`, from small to large."""
    tokens: int
    """That every size reads in all stages together."""
    cases: int
    """Of each problem that is measured."""
    data: str
    """The folder of the data sets or texts `nl`, `multi` and `mono`."""
    budget: float
    """In minutes; what the numbers above were chosen for."""
    seed: int = 0

    def recipe(self, size: str) -> Recipe:
        """Return how a size is trained."""
        return _recipe(size, self.data, self.seed, self._steps())

    def _steps(self) -> dict[str, int]:
        batches = self.tokens / (BATCH * CONTEXT)
        return {stage: max(2, round(share * batches)) for stage, share in SHARES.items()}


def plan(
    out: Path, sizes: Sequence[str], budget: float, data: str, seed: int, rate: Rate
) -> Ladder:
    """Return the study that fits a budget, or the one in the folder if its training was begun.

    Args:
        out: The study's folder.
        sizes: Names of `SHAPES`.
        budget: In minutes.
        data: The folder of the data sets or texts of the first three stages.
        seed: Of all training and sampling.
        rate: Measures the speed of training on this machine.

    Raises:
        UserError: If a size is not known or there is none, the budget is no number, data are
            missing, or the folder holds another study.
    """
    order = tuple(sorted(dict.fromkeys(sizes), key=_place))
    if not order or not math.isfinite(budget):
        raise UserError("A study needs a size and a budget; give --sizes 1M,3M --budget 60.")
    data = str(Path(data).expanduser().resolve())
    wanted = {"sizes": list(order), "budget": budget, "data": data, "seed": seed}
    if (out / FILE).exists() and any(out.glob("training/*/state")):
        found = json.loads((out / FILE).read_text("utf-8"))
        if differing := [key for key, value in wanted.items() if found.get(key) != value]:
            raise UserError(
                f"{out} holds a study with another {differing[0]} ({found.get(differing[0])}); "
                "choose another --out or remove it."
            )
        return check(found, Ladder, out / FILE)
    for stage in list(SHARES)[:-1]:
        if not (Path(data) / stage).exists():
            raise UserError(
                f"There is no {Path(data) / stage}; build the corpora with 'jaxformer data build "
                "recipes/corpora', or put texts of your own there."
            )
    probe = dict.fromkeys(SHARES, 24)
    seconds = sum(1 / rate(_recipe(size, data, seed, probe)) for size in order)
    found = Ladder(
        **wanted,
        tokens=int(TRAINING * 60 * budget / seconds),
        cases=min(5, max(1, int(budget // MINUTES_A_CASE))),
    )
    out.mkdir(parents=True, exist_ok=True)
    save_json(out / FILE, found.model_dump())
    return found


def _place(size: str) -> int:
    if size not in SHAPES:
        raise UserError(f"There is no size {size} in a study; choose of {', '.join(SHAPES)}.")
    return list(SHAPES).index(size)


def _recipe(size: str, data: str, seed: int, steps: Mapping[str, int]) -> Recipe:
    width, layers = SHAPES[size]
    shape = {"n_embd": width, "n_layer": layers, "n_head": 4, "rotary_dim": min(32, width // 8)}
    stages = []
    for name, count in steps.items():
        last = name == "exercises"
        # A step's rows hold some 16 conversations; with 20 nearly none is read twice.
        source = {"exercises": 20 * count} if last else {"path": str(Path(data) / name)}
        pace = {
            "steps": count,
            "batch": BATCH,
            "learning_rate": 2e-3,
            "warmup": min(50, count // 2),
        }
        stages.append(
            {"name": name, "data": [source], "prompt_weight": 0.1 if last else 1.0} | pace
        )
    values = {
        "name": size, "seed": seed, "context": CONTEXT, "tokenizer": "nano", "stages": stages,
        "model": {"vocab_size": 4096, "n_positions": 1024} | shape,
    }  # fmt: skip
    return Recipe.model_validate(values)
