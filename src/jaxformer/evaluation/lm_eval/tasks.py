"""What the tasks of this folder do: they ask and judge as `evaluate` does.

The harness asks everything before it hears an answer. So a program is asked for in a single turn,
or the last of several turns behind the reference solution's code; turns behind the model's own code
are for `evaluate --mode multi`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import datasets

from jaxformer.evaluation.benchmarks import find_file, open_exam
from jaxformer.evaluation.exam import Exam, Key
from jaxformer.sandbox import DEFAULT_LIMITS
from jaxformer.transcript import TURN_STOPS, clean, find_cut


@cache
def _exam(problems: str, history: str) -> Exam:
    mode = "multi" if history == "reference" else "single"
    file = find_file("mtpb" if problems else "turns", Path(problems) if problems else None)
    return open_exam("mtpb", file, mode=mode, history=history)


def load(problems: str = "", history: str = "own", **_: object) -> dict[str, datasets.Dataset]:
    """Return the cases of a benchmark, a row each.

    Args:
        problems: A file in the MTPB schema; `turns` if empty.
        history: `own` for single turns, `reference` for the last turn behind the solution's code.
        _: What the harness tells besides.

    Raises:
        UserError: If the file cannot be read or is wrong.
    """
    exam = _exam(problems, history)
    rows = []
    for key in exam.keys(1):
        step = exam.step(key, [])
        assert step is not None
        where = {"problems": problems, "history": history, "text": step.text}
        rows.append(key._asdict() | where)
    return {"test": datasets.Dataset.from_list(rows)}


def judge(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """Run a program in the sandbox and say whether it is right, for which problem."""
    exam = _exam(doc["problems"], doc["history"])
    key = Key(doc["problem"], doc["mode"], doc["case"], doc["sample"])
    [text] = results
    cut = find_cut(text, TURN_STOPS)
    code = clean(text[: cut.position] if cut else text)
    verdict = exam.judge(key, [code], DEFAULT_LIMITS, unprotected=False)
    return {"pass_rate": (doc["problem"], verdict.passed)}


def mean_of_problems(verdicts: Sequence[tuple[str, bool]]) -> float:
    """Return the mean over problems of the share of right cases."""
    problems: dict[str, list[bool]] = defaultdict(list)
    for problem, passed in verdicts:
        problems[problem].append(passed)
    return sum(sum(p) / len(p) for p in problems.values()) / len(problems)
