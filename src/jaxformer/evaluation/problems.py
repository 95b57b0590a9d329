"""Multi-turn problems in the MTPB schema, with a solution for each turn if there is one.

A problem's prompts are `str.format` templates; each case's inputs filled in make another program.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field

from jaxformer.errors import UserError
from jaxformer.evaluation.files import Line, Schema, read_lines

log = logging.getLogger("jaxformer")

MAX_GEN_LENGTH = 256
"""Tokens of a turn where a problem does not say."""
TURNS = Path(str(resources.files("jaxformer") / "embedded" / "benchmarks" / "turns.jsonl"))
"""The package's own multi-turn benchmark."""


class _Fields(Schema):
    id: str | int
    name: str = ""
    description: str = ""
    category: str = ""
    difficulty: str = ""
    prompts: list[str] = Field(min_length=1)
    inputs: list[dict[str, Any]] = Field(min_length=1)
    outputs: list[Any] = Field(min_length=1)
    max_gen_length: int | None = Field(default=None, ge=1)
    solution: list[str] | None = None


@dataclass(frozen=True)
class Problem:
    """A program described in several turns, and what it shall print.

    Attributes:
        id: Unlike that of any other problem of the file.
        name: What it is called.
        description: What it does.
        category: What it is about.
        difficulty: `easy`, `medium`, `hard`, or empty.
        prompts: A template for each turn.
        cases: Inputs by name, and the answer that is expected, for each case.
        max_gen_length: Tokens of a turn, at most.
        solution: Templates of right code for each turn, or None.
    """

    id: str
    name: str
    description: str
    category: str
    difficulty: str
    prompts: tuple[str, ...]
    cases: tuple[tuple[dict[str, Any], Any], ...]
    max_gen_length: int
    solution: tuple[str, ...] | None

    def filled(self, case: int) -> list[str]:
        """Return the prompts of a case."""
        return [prompt.format(**self.cases[case][0]) for prompt in self.prompts]

    def solved(self, case: int) -> list[str]:
        """Return the right code of each turn of a case.

        Raises:
            UserError: If the problem comes without a solution.
        """
        if self.solution is None:
            raise UserError(f"Problem {self.id} comes without a solution.")
        return [code.format(**self.cases[case][0]) for code in self.solution]

    def expected(self, case: int) -> Any:
        """Return what the program of a case shall print."""
        return self.cases[case][1]

    @cached_property
    def distinct(self) -> list[int]:
        """Numbers of the cases that repeat no earlier one's inputs."""
        first: dict[str, int] = {}
        for number, (inputs, _) in enumerate(self.cases):
            first.setdefault(json.dumps(inputs, sort_keys=True), number)
        return list(first.values())


def read_problems(path: Path) -> list[Problem]:
    """Read problems of the MTPB schema (`docs/formats.md`) from a JSONL file, also compressed.

    Raises:
        UserError: If the file cannot be read, a field is missing or wrong, or an id comes twice;
            it names file, line and field.
    """
    problems: dict[str, Problem] = {}
    for line in read_lines(path):
        problem = _problem(line)
        if problem.id in problems:
            raise line.wrong(f"id: {problem.id} is the id of another problem, too")
        problems[problem.id] = problem
    if not problems:
        raise UserError(f"{path} holds no problems.")
    return list(problems.values())


def _problem(line: Line) -> Problem:
    fields: _Fields = line.check(_Fields)
    if len(fields.outputs) < len(fields.inputs):
        raise line.wrong(
            f"outputs: {len(fields.outputs)} for {len(fields.inputs)} inputs; each needs one"
        )
    if len(fields.outputs) > len(fields.inputs):
        log.warning(
            "%s, line %d: %d outputs for %d inputs; those without an input are left out.",
            *(line.path, line.number, len(fields.outputs), len(fields.inputs)),
        )
    if fields.solution is not None and len(fields.solution) != len(fields.prompts):
        raise line.wrong("solution: one code a prompt is needed")
    cases = list(zip(fields.inputs, fields.outputs, strict=False))
    templates: Sequence[tuple[str, list[str] | None]]
    templates = (("prompts", fields.prompts), ("solution", fields.solution))
    for name, texts in templates:
        for number, text in enumerate(texts or []):
            for inputs, _ in cases:
                try:
                    text.format(**inputs)
                except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
                    raise line.wrong(
                        f"{name}.{number}: the inputs do not fill the template "
                        f"({type(error).__name__}: {error})"
                    ) from error
    return Problem(
        *(str(fields.id), fields.name, fields.description, fields.category, fields.difficulty),
        tuple(fields.prompts),
        tuple(cases),
        fields.max_gen_length or MAX_GEN_LENGTH,
        None if fields.solution is None else tuple(fields.solution),
    )
