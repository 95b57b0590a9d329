"""Writing and judging all samples of a benchmark: together, in any order, with the same result."""

import concurrent.futures
import contextlib
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from jaxformer import sandbox
from jaxformer.evaluation.exam import Exam, Key, Step, seed_of
from jaxformer.evaluation.samples import FILE, Collection, Judging, Sample, Written
from jaxformer.generation import Completion, Request
from jaxformer.synthesis.candidates import candidate_seed, choose
from jaxformer.transcript import clean

AHEAD = 4
"""Programs on their way for each row that is decoded: enough to keep rows busy while others run,
few enough that a history is still known when its next turn comes."""


class Writer(Protocol):
    """What completes requests: `generation.Engine`, or another engine behind the same face."""

    def submit(self, request: Request) -> int:
        """Queue a request and return its number."""
        ...

    def step(self) -> dict[int, Completion]:
        """Work for a while and return what is complete, by number."""
        ...


@dataclass(frozen=True)
class Drawing:
    """How samples are drawn.

    Attributes:
        samples: Of each case.
        temperature: 0 takes the likeliest token each time.
        top_p: Draw among the fewest tokens whose probabilities reach this sum.
        top_k: Draw among this many likeliest tokens; 0 for all.
        seed: The same gives the same samples.
        max_new_tokens: Of a step, at most; the problem's if not given.
        context: Tokens of the model's context; a step leaves at least half of it to its prompt.
        candidates: Of each step; with more than one, execution chooses among them.
        rows: Requests that the writer decodes at one time.

    Raises:
        UserError: If a value is out of its range.
    """

    samples: int = 1
    temperature: float = 0.2
    top_p: float = 0.95
    top_k: int = 0
    seed: int = 0
    max_new_tokens: int | None = None
    context: int = 2048
    candidates: int = 1
    rows: int = 32

    def __post_init__(self) -> None:
        most = self.max_new_tokens or 1
        Request("", most, self.temperature, self.top_p, self.top_k, self.seed)  # refuses bad ones


@dataclass
class _Program:
    """One program on its way."""

    key: Key
    turns: list[Written] = field(default_factory=list)
    step: Step | None = None
    seeds: list[int] = field(default_factory=list)
    candidates: dict[int, Completion] = field(default_factory=dict)


OnProgress = Callable[[int, int, int], None]
"""Called with how many samples are judged, how many of them are right, and how many there are."""


class Runner:
    """Writes and judges samples, here."""

    def __init__(
        self,
        exam: Exam,
        writer: Writer,
        drawing: Drawing,
        limits: sandbox.Limits,
        *,
        unprotected: bool = False,
    ) -> None:
        """Prepare.

        Args:
            exam: The benchmark.
            writer: What completes requests.
            drawing: How.
            limits: What a program may use.
            unprotected: Run programs even where there is no sandbox.
        """
        self._exam, self._writer, self._drawing = exam, writer, drawing
        self._limits, self._unprotected = limits, unprotected
        self._running: dict[int, tuple[_Program, int]] = {}

    def judged(self, keys: Sequence[Key]) -> Judging:
        """Yield samples as they are judged; execution goes on beside generation."""
        waiting = deque(keys)
        choosing: dict[Future[int], _Program] = {}
        judging: set[Future[Sample]] = set()
        most = AHEAD * self._drawing.rows
        with ThreadPoolExecutor() as threads:
            try:
                while waiting or self._running or choosing or judging:
                    while waiting and len(self._running) + len(choosing) < most:
                        program = _Program(waiting.popleft())
                        if not self._ask(program):
                            judging.add(threads.submit(self._judge, program))
                    complete = self._writer.step() if self._running else {}
                    for program in self._received(complete):
                        if len(program.candidates) > 1:
                            choosing[threads.submit(self._choose, program)] = program
                        elif not self._go_on(program, 0):
                            judging.add(threads.submit(self._judge, program))
                    pending: set[Future] = {*choosing, *judging}
                    idle = not self._running and (not waiting or len(choosing) >= most)
                    if pending and idle:
                        concurrent.futures.wait(
                            pending, return_when=concurrent.futures.FIRST_COMPLETED
                        )
                    for future in [future for future in choosing if future.done()]:
                        program = choosing.pop(future)
                        if not self._go_on(program, future.result()):
                            judging.add(threads.submit(self._judge, program))
                    ready = {future for future in judging if future.done()}
                    judging -= ready
                    if ready:
                        yield [future.result() for future in ready]
            finally:
                threads.shutdown(cancel_futures=True)

    def _ask(self, program: _Program) -> bool:
        """Ask for the next step; False if there is none."""
        drawing = self._drawing
        program.step = step = self._exam.step(program.key, [turn.code for turn in program.turns])
        if step is None:
            return False
        limit = min(drawing.max_new_tokens or step.max_new_tokens, drawing.context // 2)
        turn = len(program.turns)
        seed = seed_of(drawing.seed, program.key, turn)
        program.candidates = {}
        program.seeds = [candidate_seed(seed, i) for i in range(drawing.candidates)]  # fmt: skip
        for place, seed in enumerate(program.seeds):
            request = Request(
                step.text, limit, drawing.temperature, drawing.top_p, drawing.top_k, seed,
                step.stops, keep_end=True,
            )  # fmt: skip
            self._running[self._writer.submit(request)] = program, place
        return True

    def _received(self, complete: dict[int, Completion]) -> Iterator[_Program]:
        """Yield programs all of whose candidates have come."""
        for number, completion in complete.items():
            program, place = self._running.pop(number)
            program.candidates[place] = completion
            if len(program.candidates) == len(program.seeds):
                yield program

    def _go_on(self, program: _Program, chosen: int) -> bool:
        """Take a candidate and ask for the next step; False if there is none."""
        program.turns.append(self._written(program, chosen))
        return self._ask(program)

    def _written(self, program: _Program, place: int) -> Written:
        completion, step = program.candidates[place], program.step
        assert step is not None
        code = completion.text if program.key.mode == "function" else clean(completion.text)
        logprobs = completion.logprobs
        return Written(
            step.prompt, code, completion.raw, completion.stop_reason, program.seeds[place],
            round(math.fsum(logprobs), 6) if logprobs or not completion.raw else None,
            len(logprobs), place,
        )  # fmt: skip

    def _choose(self, program: _Program) -> int:
        written = [self._written(program, place) for place in range(len(program.seeds))]
        before = [turn.code for turn in program.turns]
        return choose(
            [self._exam.program(program.key, [*before, one.code]) for one in written],
            [one.logprob or 0.0 for one in written],
            self._limits, unprotected=self._unprotected,
        )  # fmt: skip

    def _judge(self, program: _Program) -> Sample:
        codes = [turn.code for turn in program.turns]
        verdict = self._exam.judge(program.key, codes, self._limits, unprotected=self._unprotected)
        whole = self._exam.program(program.key, codes)
        return Sample(program.key, tuple(program.turns), verdict, whole)


def complete(
    exam: Exam,
    samples: int,
    judged: Callable[[Sequence[Key]], Judging],
    folder: Path,
    on_progress: OnProgress | None = None,
) -> Path:
    """Bring a folder's samples to completion; every judged sample is kept at once.

    Args:
        exam: The benchmark.
        samples: Of each case.
        judged: Yields the samples of keys as they are judged, such as `Runner.judged`.
        folder: What was judged before is in it, and is not done again.
        on_progress: Called whenever samples were judged.

    Returns:
        The file of all samples.
    """
    finished = folder / FILE
    if finished.exists():
        return finished
    keys = exam.keys(samples)
    with contextlib.closing(Collection(folder)) as done:
        right = sum(sample.verdict.passed for sample in done.samples.values())
        with contextlib.closing(judged([key for key in keys if key not in done.samples])) as new:
            for some in new:
                done.add(some)
                right += sum(sample.verdict.passed for sample in some)
                if on_progress:
                    on_progress(len(done.samples), right, len(keys))
        done.finish(keys, finished)
    return finished


def judge_all(
    exam: Exam,
    completions: Sequence[tuple[Key, tuple[Written, ...]]],
    limits: sandbox.Limits,
    *,
    unprotected: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Sample]:
    """Judge what was written elsewhere, in its order."""

    def one(written: tuple[Key, tuple[Written, ...]]) -> Sample:
        key, turns = written
        codes = [turn.code for turn in turns]
        verdict = exam.judge(key, codes, limits, unprotected=unprotected)
        return Sample(key, turns, verdict, exam.program(key, codes))

    samples: list[Sample] = []
    right = 0
    with ThreadPoolExecutor() as threads:
        for sample in threads.map(one, completions):
            samples.append(sample)
            right += sample.verdict.passed
            if on_progress:
                on_progress(len(samples), right, len(completions))
    return samples
