"""Judges a program by tests that run in another process, out of the program's reach."""

import dataclasses
import json
import os
import threading
from typing import Any, Literal

from jaxformer.sandbox.contracts import DEFAULT_LIMITS, Limits, Status, Tier
from jaxformer.sandbox.pool import Pool, shared_pool, strongest
from jaxformer.sandbox.process import Process
from jaxformer.sandbox.worker import Worker

_LAST_WORDS_SECONDS = 0.5
_MESSAGES = {
    "exit": "The program ended before its tests did.",
    "timeout": "The program and its tests took too long.",
    "output": "The program printed too much.",
    "killed": "The program was killed by a signal.",
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the tests found.

    Attributes:
        passed: Whether all tests ran to their end.
        status: "passed"; "failed" (an assertion of the tests); "exception" (raised by the program
            or in the tests); "exit" (the program ended before its tests did); or what stopped the
            program, as in `Result`.
        message: What failed and where, empty if nothing.
        stdout: The program's standard output.
        stderr: The program's standard error.
        seconds: Wall-clock time.
        tier: The protection it ran under.
    """

    passed: bool
    status: Literal["passed", "failed"] | Status
    message: str
    stdout: str
    stderr: str
    seconds: float
    tier: Tier


def check(
    program: str,
    tests: str,
    limits: Limits = DEFAULT_LIMITS,
    *,
    entry_point: str | None = None,
    pool: Pool | None = None,
    unprotected: bool = False,
) -> Verdict:
    """Judges a program by its tests.

    The program runs as a module in one process, the tests in another; neither sees the other's
    memory, files or source. Names that the tests use and don't define are the program's: a call
    of one sends the arguments over as plain data (numbers, text, the usual containers, dates,
    numpy's arrays), and the result and what was done to the arguments comes back as such.
    Comparisons happen in the tests' process. Objects of the program's own classes stay where they
    are: their attributes and methods can be used, but two of them are equal only if they are one.

    Args:
        program: Python source that defines functions.
        tests: Python source with assertions, or that defines `check(candidate)`.
        limits: What each of the two may use; the time is for both together.
        entry_point: The function under test. Its name is the program's even if Python has one of
            that name, and it is what `check` is called with, if the tests define that.
        pool: Where to run; the pool that this process shares if not given.
        unprotected: Run even where the machine offers no isolation.

    Raises:
        UserError: The machine offers no isolation, or the walls could not be put up.
    """
    if pool is None:
        strongest(unprotected=unprotected)
        pool = shared_pool(unprotected=unprotected)
    return pool.use(lambda worker: _check(worker, program, tests, limits, entry_point))


def _check(
    worker: Worker, program: str, tests: str, limits: Limits, entry_point: str | None
) -> Verdict:
    worker.load(program, tests, "import ast")
    their_calls, our_calls = os.pipe()
    our_answers, their_answers = os.pipe()
    with (
        worker.fresh_folder(),
        Process(limits, [their_calls, their_answers]) as subject,
        Process(limits, [our_answers, our_calls]) as examiner,
    ):
        worker.start(subject, "subject", program, limits)
        worker.start(examiner, "tests", tests, limits, entry_point=entry_point)
        watcher = threading.Thread(target=subject.watch, args=[worker.disk_watch(limits)])
        watcher.start()
        try:
            examiner.watch(lambda: subject.stopped is not None)
            outcome = _outcome(examiner.reported)
            if outcome.get("outcome") == "ended":
                watcher.join(_LAST_WORDS_SECONDS)
            by_itself = subject.ended or subject.stopped is not None
        finally:
            try:
                worker.end()
            finally:
                watcher.join()
        told = subject.result(worker.tier)
        examined = examiner.result(worker.tier)

    status, message = outcome.get("outcome"), str(outcome.get("message", ""))
    if status not in ("passed", "failed", "exception"):
        cause = told if by_itself else examined
        status = "exit" if cause.status == "ok" else cause.status
        message = cause.exception or _MESSAGES[status]
    seconds = max(told.seconds, examined.seconds)
    passed = status == "passed"
    return Verdict(passed, status, message, told.stdout, told.stderr, seconds, worker.tier)


def _outcome(report: bytes) -> dict[str, Any]:
    try:
        outcome = json.loads(report)
    except (ValueError, RecursionError):
        return {}
    return outcome if isinstance(outcome, dict) else {}
