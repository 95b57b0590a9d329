"""The supervisor's view of one program's process: its pipes, what came out of them, the verdict."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any, Self

from jaxformer.errors import UserError
from jaxformer.sandbox.contracts import Limits, Result, Status, Tier
from jaxformer.sandbox.pipes import Reader, pipe

_POLL_SECONDS = 0.1
_DRAIN_SECONDS = 0.5
_CPU_SIGNALS = (-signal.SIGXCPU, -signal.SIGKILL)


class Process:
    """The reading ends of a process's output, error, report and status.

    Args:
        limits: What the process may use.
        extra: Further descriptors to hand to it, closed here like the others.
        trusted: Whether the program can't write to the status pipe.

    Attributes:
        theirs: The descriptors that belong into the process.
        stopped: Why it was not left to end by itself, or None.
    """

    def __init__(self, limits: Limits, extra: Iterable[int] = (), *, trusted: bool = True) -> None:
        self._limits = limits
        self._trusted = trusted
        self._stack = contextlib.ExitStack()
        self._theirs = self._stack.enter_context(contextlib.ExitStack())
        streams, writers = {}, []
        for name in ("out", "err", "report", "status"):
            streams[name], writer = pipe(self._stack)
            writers.append(self._theirs.enter_context(writer).fileno())
        self.theirs: list[int] = [*writers, *extra]
        for descriptor in extra:
            self._theirs.callback(os.close, descriptor)
        self.stopped: Status | None = None
        self._started = time.monotonic()
        self._reader = Reader(streams, limits.output_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def close_theirs(self) -> None:
        """Closes what the process now holds itself."""
        self._theirs.close()

    def watch(self, exceeds: Callable[[], bool] | None = None) -> None:
        """Reads until the process has ended or may go on no longer.

        Args:
            exceeds: Asked now and then whether a limit is passed that only the supervisor sees.
        """
        deadline = self._started + self._limits.wall_seconds
        while self.stopped is None:
            pause = min(deadline, time.monotonic() + _POLL_SECONDS) if exceeds else deadline
            # A process forked by this one meanwhile may hold the pipe open.
            if self._reader.read(pause, {"status"}, or_until=lambda: self._trusted and self.ended):
                break
            if self._reader.overflowed or (exceeds is not None and exceeds()):
                self.stopped = "output"
            elif time.monotonic() >= deadline:
                self.stopped = "timeout"

    @property
    def ended(self) -> bool:
        """Whether the process came to an end and this was told."""
        return "wait" in self._told()

    @property
    def over(self) -> bool:
        """Whether a state that could have lived on did not."""
        return "over" in self._told()

    @property
    def reported(self) -> bytes:
        """What came over the report pipe so far."""
        return bytes(self._reader.data["report"])

    def result(self, tier: Tier) -> Result:
        """The verdict, after the process is gone: what was seen, told by its keeper and reported.

        Raises:
            UserError: The walls could not be put up.
        """
        # The pipes close when the last holder is gone.
        self._reader.read(
            time.monotonic() + _DRAIN_SECONDS, set(self._reader.data), past_overflow=True
        )
        if self.stopped is None and self._reader.overflowed:
            self.stopped = "output"
        data = self._reader.data
        told = self._told()
        stdout, stderr = (data[name].decode("utf-8", "replace") for name in ("out", "err"))
        if "error" in told:
            raise UserError(f"The sandbox tier {tier!r} could not be set up: {told['error']}.")
        if "ready" not in told and self.stopped is None:
            last = stderr.strip().rpartition("\n")[2] or "no message"
            raise UserError(f"The sandbox tier {tier!r} ended before the program started: {last}.")

        code = None
        if "wait" in told and self.stopped is None:
            code = os.waitstatus_to_exitcode(told["wait"])
        report = parse_report(bytes(data["report"])) if code is not None and code > 0 else {}
        exception = report.get("exception")
        status: Status
        if self.stopped is not None:
            status = self.stopped
        elif code is None:
            status = "killed"
        elif code < 0:
            # The kernel's two clocks differ by some ticks.
            exhausted = told["cpu_seconds"] >= 0.9 * self._limits.cpu_seconds
            status = "timeout" if exhausted and code in _CPU_SIGNALS else "killed"
        elif exception is not None:
            status = "memory" if report.get("memory") is True else "exception"
        else:
            status = "exit" if code else "ok"
        seconds = time.monotonic() - self._started
        return Result(status, stdout, stderr, exception, code, seconds, tier)

    def _told(self) -> dict[str, Any]:
        """What came over the status pipe."""
        lines = self._reader.data["status"].splitlines()
        if self._trusted:
            return {key: value for line in lines for key, value in json.loads(line).items()}
        told: dict[str, Any] = {"ready": True}
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
                code, over = (json.loads(line)[key] for key in ("code", "over"))
                if type(code) is int and 0 <= code < 256:
                    told |= {"wait": code << 8} | ({"over": True} if over else {})
        return told


def parse_report(line: bytes) -> dict[str, Any]:
    """A program's report; it may be forged, so nothing about it is taken for granted."""
    try:
        report = json.loads(line)
        text = report["exception"].encode("utf-8", "replace").decode()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    return {"exception": text, "memory": report.get("memory")}
