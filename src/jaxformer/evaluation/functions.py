"""HumanEval and MBPP, from the files that their authors publish: one function a problem."""

import ast
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field

from jaxformer import sandbox
from jaxformer.errors import UserError
from jaxformer.evaluation.exam import Group, Key, Step, Verdict
from jaxformer.evaluation.files import Line, Schema, read_lines
from jaxformer.transcript import Stop

log = logging.getLogger("jaxformer")

HUMANEVAL_STOPS = tuple(Stop("\n" + text) for text in ("class", "def", "#", "if", "print"))
"""The rules of the Codex paper (arXiv:2107.03374, section 3.2)."""
MBPP_STOPS = tuple(
    Stop(text) for text in ("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n#")
)
"""As most evaluations cut it: behind the functions, before what a file goes on with."""
MBPP_TEST = range(11, 511)
"""Ids of the test split."""
MAX_NEW_TOKENS = 512
_SHOWN = 200


@dataclass(frozen=True)
class Function:
    """A function to write.

    Attributes:
        id: As in the file.
        prompt: What the model reads.
        before: What stands before the completion in the program.
        tests: Python with assertions, or that defines `check(candidate)`.
        entry_point: The function's name.
        solution: Right code behind `before`, as the file has it.
    """

    id: str
    prompt: str
    before: str
    tests: str
    entry_point: str | None
    solution: str


@dataclass(frozen=True)
class Functions:
    """Functions as an exam."""

    problems: Sequence[Function]
    stops: tuple[Stop, ...]

    @property
    def groups(self) -> list[Group]:
        """All problems, in order."""
        return [Group(problem.id, "", "", 1) for problem in self.problems]

    def keys(self, samples: int) -> list[Key]:
        """Return problem by problem all samples."""
        return [
            Key(p.id, "function", 0, sample) for p in self.problems for sample in range(samples)
        ]

    def repeats(self, key: Key) -> bool:  # noqa: ARG002
        """No case is another's repetition."""
        return False

    def step(self, key: Key, codes: Sequence[str]) -> Step | None:
        """Return the only step."""
        prompt = self._by_id[key.problem].prompt
        return None if codes else Step(prompt, prompt, MAX_NEW_TOKENS, self.stops)

    def program(self, key: Key, codes: Sequence[str]) -> str:
        """Return the function."""
        return self._by_id[key.problem].before + "".join(codes) + "\n"

    def judge(
        self, key: Key, codes: Sequence[str], limits: sandbox.Limits, *, unprotected: bool
    ) -> Verdict:
        """Run the tests, out of the function's reach."""
        problem = self._by_id[key.problem]
        found = sandbox.check(
            self.program(key, codes), problem.tests, limits,
            entry_point=problem.entry_point, unprotected=unprotected,
        )  # fmt: skip
        return Verdict(found.passed, found.status, found.message[:_SHOWN])

    @cached_property
    def _by_id(self) -> dict[str, Function]:
        return {problem.id: problem for problem in self.problems}


class _HumanEval(Schema):
    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str = ""
    test: str | None = None
    base_input: list[list[Any]] | None = None
    plus_input: list[list[Any]] | None = None
    atol: float = 0.0


def read_humaneval(path: Path) -> Functions:
    """Read HumanEval's JSONL, also in EvalPlus' form (inputs instead of tests).

    Raises:
        UserError: If the file cannot be read, or a field is missing or wrong.
    """
    problems: dict[str, Function] = {}
    for line in read_lines(path):
        fields: _HumanEval = line.check(_HumanEval)
        tests = fields.test
        if fields.base_input is not None:
            tests = _tests_of_inputs(fields)
        if tests is None:
            raise line.wrong("test: field required, or base_input in EvalPlus' form")
        _add(problems, line, Function(
            fields.task_id, fields.prompt, fields.prompt, tests, fields.entry_point,
            fields.canonical_solution,
        ))  # fmt: skip
    return Functions(_some(problems, path), HUMANEVAL_STOPS)


def _tests_of_inputs(fields: _HumanEval) -> str:
    """Return tests that compare with the right solution on given inputs, as EvalPlus does."""
    inputs = [*(fields.base_input or []), *(fields.plus_input or [])]
    source = fields.prompt + fields.canonical_solution
    return f"""
import copy as _copy, math as _math
inf, nan = float("inf"), float("nan")
_right = {{}}
exec({source!r}, _right)
def _same(x, y):
    if isinstance(y, float) and isinstance(x, (int, float)):
        return x == y or _math.isclose(x, y, rel_tol=1e-7, abs_tol={max(fields.atol, 1e-6)!r})
    if isinstance(y, (list, tuple)):
        return type(x) is type(y) and len(x) == len(y) and all(map(_same, x, y))
    return x == y
def check(candidate):
    for _inputs in {inputs!r}:
        _wanted = _right[{fields.entry_point!r}](*_copy.deepcopy(_inputs))
        assert _same(candidate(*_copy.deepcopy(_inputs)), _wanted), f"{{_inputs!r:.100}}"
"""


class _Mbpp(Schema):
    task_id: int
    text: str | None = None
    prompt: str | None = None
    code: str = ""
    test_list: list[str]
    test_setup_code: str = ""
    test_imports: list[str] = Field(default_factory=list)


def read_mbpp(path: Path) -> Functions:
    """Read MBPP's JSONL; of the whole set only the 500 problems of the test split count.

    The prompt is the description and the first test in a docstring, as in the CodeGen paper.

    Raises:
        UserError: If the file cannot be read, or a field is missing or wrong.
    """
    found: dict[str, Function] = {}
    ids = set()
    for line in read_lines(path):
        fields: _Mbpp = line.check(_Mbpp)
        text = fields.text if fields.text is not None else fields.prompt
        if text is None:
            raise line.wrong("text: field required")
        if not fields.test_list:
            raise line.wrong("test_list: a test is needed")
        prompt = f'"""\n{text}\n{fields.test_list[0]}\n"""\n'
        tests = "\n".join([fields.test_setup_code, *fields.test_imports, *fields.test_list])
        name = _called(fields.code, "\n".join(fields.test_list))
        ids.add(fields.task_id)
        _add(
            found, line,
            Function(str(fields.task_id), prompt, "", tests, name, fields.code),
        )  # fmt: skip
    if ids > set(MBPP_TEST):  # all splits in one file
        found = {str(i): found[str(i)] for i in MBPP_TEST}
        log.warning("Of %s the 500 problems of the test split are taken.", path)
    return Functions(_some(found, path), MBPP_STOPS)


def _called(code: str, tests: str) -> str | None:
    """Return which function of the right code the tests call."""
    try:
        names = {n.name for n in ast.walk(ast.parse(code)) if isinstance(n, ast.FunctionDef)}
        calls = [n.func for n in ast.walk(ast.parse(tests)) if isinstance(n, ast.Call)]
    except (SyntaxError, ValueError):
        return None
    return next((c.id for c in calls if isinstance(c, ast.Name) and c.id in names), None)


def _add(problems: dict[str, Function], line: Line, problem: Function) -> None:
    if problem.id in problems:
        raise line.wrong(f"task_id: {problem.id} is the id of another problem, too")
    problems[problem.id] = problem


def _some(problems: dict[str, Function], path: Path) -> list[Function]:
    if not problems:
        raise UserError(f"{path} holds no problems.")
    return list(problems.values())
