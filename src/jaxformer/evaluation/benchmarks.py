"""Benchmarks by name."""

from collections.abc import Sequence
from pathlib import Path

from jaxformer.errors import UserError
from jaxformer.evaluation.exam import Exam, Mode
from jaxformer.evaluation.functions import read_humaneval, read_mbpp
from jaxformer.evaluation.multi_turn import MultiTurn
from jaxformer.evaluation.problems import TURNS, read_problems

FUNCTIONS = {"humaneval": read_humaneval, "mbpp": read_mbpp}
MULTI_TURN = ("mtpb", "turns")
MODES: dict[str, tuple[Mode, ...]] = {
    "multi": ("multi",),
    "single": ("single",),
    "both": ("multi", "single"),
}
HISTORIES = ("own", "reference")
SCORERS = ("fixed", "reference")


def find_file(benchmark: str, problems: Path | None) -> Path:
    """Return the file with the problems of a benchmark.

    Raises:
        UserError: If there is no such benchmark, or its problems are not in the package.
    """
    names = (*FUNCTIONS, *MULTI_TURN)
    if benchmark not in names:
        raise UserError(f"There is no benchmark {benchmark}; choose one of {', '.join(names)}.")
    if problems is None and benchmark != "turns":
        raise UserError(
            f"The problems of {benchmark} are not in the package; say where they are with "
            "--problems FILE, or fetch them with --download."
        )
    return problems or TURNS


def open_exam(
    benchmark: str,
    file: Path,
    *,
    mode: str | None = None,
    history: str = "own",
    scorer: str = "fixed",
) -> Exam:
    """Read a benchmark.

    Args:
        benchmark: `humaneval`, `mbpp`, `mtpb` or `turns`.
        file: Its problems.
        mode: Of multi-turn benchmarks: `multi`, `single` or `both`; multi if not given.
        history: Whose code earlier turns hold: `own` or `reference`.
        scorer: `fixed` or `reference`, for the verdicts of the published MTPB scorer.

    Raises:
        UserError: If the file cannot be read or is wrong, or a setting is not known or does not
            go with the benchmark.
    """
    _known("mode", mode or "multi", tuple(MODES))
    _known("history", history, HISTORIES)
    _known("scorer", scorer, SCORERS)
    if benchmark in FUNCTIONS:
        for name, value, usual in (("mode", mode, None), ("history", history, "own"),
                                   ("scorer", scorer, "fixed")):  # fmt: skip
            if value != usual:
                raise UserError(f"{benchmark} has one turn a problem; leave out --{name}.")
        return FUNCTIONS[benchmark](file)
    rules = "published" if scorer == "reference" else "fixed"
    return MultiTurn(read_problems(file), MODES[mode or "multi"], history, rules)


def _known(name: str, value: str, values: Sequence[str]) -> None:
    if value not in values:
        raise UserError(f"--{name} {value} is not known; choose one of {', '.join(values)}.")
