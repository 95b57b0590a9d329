"""Multi-turn problems as an exam: several turns, or all prompts at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jaxformer import sandbox, transcript
from jaxformer.errors import UserError
from jaxformer.evaluation import answers
from jaxformer.evaluation.exam import Group, Key, Mode, Step, Verdict
from jaxformer.evaluation.problems import Problem
from jaxformer.synthesis import observe

SHOWN = 200
"""Characters of a wrong answer that its verdict shows."""


@dataclass(frozen=True)
class MultiTurn:
    """MTPB's protocol.

    In mode `multi` each prompt follows all earlier prompts and their code. In mode `single` all
    prompts stand in one block and one completion answers them; it may have as many tokens as the
    turns together, and is cut by the same rules as a turn (the published form is not known).

    Attributes:
        problems: What is asked.
        modes: How.
        history: Whose code earlier turns hold: the model's `own`, or the `reference` solution's, so
            that the model writes the last turn only.
        rules: How programs are run and judged; see `observe`. By the published ones a case that
            repeats another's inputs counts again.
    """

    problems: Sequence[Problem]
    modes: Sequence[Mode] = ("multi",)
    history: str = "own"
    rules: observe.Rules = "fixed"

    def __post_init__(self) -> None:
        if self.history == "reference":
            for problem in self.problems:
                problem.solved(0)
            if "single" in self.modes:
                raise UserError("A single turn has no history; leave out --history or the mode.")

    @property
    def groups(self) -> list[Group]:
        """All problems, in order."""
        return [Group(p.id, p.category, p.difficulty, len(p.prompts)) for p in self.problems]

    def keys(self, samples: int) -> list[Key]:
        """Return mode by mode, problem by problem, case by case all samples."""
        return [
            Key(problem.id, mode, case, sample)
            for mode in self.modes
            for problem in self.problems
            for case in self._cases(problem)
            for sample in range(samples)
        ]

    def repeats(self, key: Key) -> bool:
        """Whether it is of a case that counts no more, for it repeats another's inputs."""
        problem = self._by_id.get(key.problem)
        cases = range(len(problem.cases)) if problem else ()
        return problem is not None and key.case in cases and key.case not in self._cases(problem)

    def step(self, key: Key, codes: Sequence[str]) -> Step | None:
        """Return the next turn."""
        problem, prompts = self._problem(key), self._problem(key).filled(key.case)
        limit, stops = problem.max_gen_length, transcript.TURN_STOPS
        if key.mode == "single":
            asked = "".join(map(transcript.ask, prompts))
            step = Step("\n".join(prompts), transcript.HEADER + asked, limit * len(prompts), stops)
            return None if codes else step
        turns = self.turns(key, codes)
        if len(turns) == len(prompts):
            return None
        prompt = prompts[len(turns)]
        text = transcript.render(turns) + transcript.ask(prompt)
        return Step(prompt, text, limit, stops)

    def program(self, key: Key, codes: Sequence[str]) -> str:
        """Return header, prompts and code."""
        if key.mode == "single":
            asked = "".join(map(transcript.ask, self._problem(key).filled(key.case)))
            return f"{transcript.HEADER}{asked}{''.join(codes)}\n"
        return transcript.program(self.turns(key, codes))

    def turns(self, key: Key, codes: Sequence[str]) -> list[transcript.Turn]:
        """Return prompts and code as far as there is any; of a single turn the prompts alone."""
        problem = self._problem(key)
        prompts = problem.filled(key.case)
        if key.mode == "single":
            return [transcript.Turn(prompt, "") for prompt in prompts]
        if self.history == "reference":
            codes = [*problem.solved(key.case)[:-1], *codes]
        return [transcript.Turn(p, c) for p, c in zip(prompts, codes, strict=False)]

    def judge(
        self, key: Key, codes: Sequence[str], limits: sandbox.Limits, *, unprotected: bool
    ) -> Verdict:
        """Run the program and compare its answer."""
        program = self.program(key, codes)
        found = observe.run(program, self.rules, limits, unprotected=unprotected)
        return judge_answer(found, self._problem(key).expected(key.case), self.rules)

    def _cases(self, problem: Problem) -> Sequence[int]:
        return range(len(problem.cases)) if self.rules == "published" else problem.distinct

    def _problem(self, key: Key) -> Problem:
        return self._by_id[key.problem]

    @cached_property
    def _by_id(self) -> dict[str, Problem]:
        return {problem.id: problem for problem in self.problems}


def judge_answer(found: observe.Run, expected: Any, rules: observe.Rules) -> Verdict:
    """Judge how a program ended and what it answered."""
    if found.status != "ok" and not (rules == "published" and found.answer):
        return Verdict(False, found.status, found.message[:SHOWN])
    if found.answer is None:
        return Verdict(False, "no answer")
    judge = answers.right if rules == "fixed" else answers.right_as_published
    if judge(found.answer, expected):
        return Verdict(True, "passed")
    opaque = isinstance(found.answer.plain, observe.Opaque)  # its text may hold an address
    return Verdict(False, "wrong", found.answer.kind if opaque else found.answer.text[:SHOWN])
