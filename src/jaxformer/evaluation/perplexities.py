"""How well a model understands the prompts of multi-turn problems.

Prompt perplexity is `exp(-(1/m) Σ log p(prompt_i | all before it))` over the m tokens of all
prompts of a problem (CodeGen, arXiv:2203.13474, section 4.2). In multi-turn form the history holds
the code that the model wrote, here of the first sample of each case; in single-turn form the
prompts stand alone.
"""

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import Field

from jaxformer.evaluation.exam import Mode
from jaxformer.evaluation.files import Schema, read_lines
from jaxformer.evaluation.multi_turn import MultiTurn
from jaxformer.evaluation.samples import Sample
from jaxformer.synthesis.perplexity import Scorer, prompt_perplexities

FILE = "perplexity.jsonl"
BATCH = 64
"""Conversations that are measured at one time."""


class _Line(Schema):
    id: str
    mode: Mode
    case: int
    perplexity: float = Field(gt=0)


def measure(
    scorer: Scorer,
    exam: MultiTurn,
    samples: Sequence[Sample],
    folder: Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Measure the prompts of each case once, by its first sample, and write the file."""
    path = folder / FILE
    firsts = [sample for sample in samples if sample.key.sample == 0]
    done = {(line["id"], line["mode"], line["case"]) for line in _whole_lines(path)}
    left = [s for s in firsts if (s.key.problem, s.key.mode, s.key.case) not in done]
    with path.open("a", encoding="utf-8") as file:
        for start in range(0, len(left), BATCH):
            batch = left[start : start + BATCH]
            for single in (False, True):
                some = [s for s in batch if (s.key.mode == "single") == single]
                turns = [exam.turns(s.key, s.codes) for s in some]
                found = prompt_perplexities(scorer, turns, single=single)
                for sample, measured in zip(some, found, strict=True):
                    fields = {
                        "version": 1, "id": sample.key.problem, "mode": sample.key.mode,
                        "case": sample.key.case, "perplexity": measured.whole,
                        "prompts": list(measured.prompts),
                    }  # fmt: skip
                    file.write(json.dumps(fields) + "\n")
            file.flush()
            if on_progress:
                on_progress(min(start + BATCH, len(left)), len(left))


def read(folder: Path) -> dict[tuple[str, str], float]:
    """Return the mean over cases by problem and mode; nothing where nothing was measured."""
    return {key: statistics.mean(values) for key, values in _by_problem(folder).items()}


def nats(folder: Path) -> dict[tuple[str, str], float]:
    """Return the mean over cases of the logarithm, in nats a token, by problem and mode."""
    cases = _by_problem(folder)
    return {key: statistics.mean(map(math.log, values)) for key, values in cases.items()}


def _by_problem(folder: Path) -> Mapping[tuple[str, str], list[float]]:
    """Return the perplexity of each case."""
    path = folder / FILE
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    if not path.exists():
        return found
    for line in read_lines(path):
        fields: _Line = line.check(_Line)
        found[fields.id, fields.mode].append(fields.perplexity)
    return found


def _whole_lines(path: Path) -> list[Mapping]:
    """Return what is there, the last line left out and off if it is half written."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        path.write_bytes(whole)
    return [line.fields for line in read_lines(path)]
