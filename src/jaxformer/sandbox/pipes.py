"""Bounded reading from several pipes at once."""

import contextlib
import os
import selectors
import time
from collections.abc import Callable
from typing import IO

REPORT_BYTES = 64 * 1024


def pipe(stack: contextlib.ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """The reading and the writing end of a pipe, closed with the stack."""
    reader, writer = os.pipe()
    return (
        stack.enter_context(os.fdopen(reader, "rb", buffering=0)),
        stack.enter_context(os.fdopen(writer, "wb", buffering=0)),
    )


class Reader:
    """Reads a program's pipes: "out" and "err" within one bound, "report" within another.

    Attributes:
        data: What was read, by the pipe's name.
        overflowed: Whether "out" and "err" held more than their bound; the rest is dropped.
    """

    def __init__(self, streams: dict[str, IO[bytes]], output_bytes: int) -> None:
        self.data = {name: bytearray() for name in streams}
        self.overflowed = False
        self._open = dict(streams)
        self._output_room = output_bytes
        for stream in streams.values():
            os.set_blocking(stream.fileno(), False)

    def read(
        self,
        deadline: float,
        until_closed: set[str],
        *,
        or_until: Callable[[], bool] = lambda: False,
        past_overflow: bool = False,
    ) -> bool:
        """Reads until those pipes are closed; False if the deadline or an overflow came first.

        What was written to a pipe before one of the others told of the end is read, too.

        Args:
            deadline: By the monotonic clock.
            until_closed: Names of pipes.
            or_until: Another reason to be done.
            past_overflow: Whether to go on, and drop what is too much.
        """
        with selectors.PollSelector() as selector:
            for name, stream in self._open.items():
                selector.register(stream, selectors.EVENT_READ, name)
            done = False
            while not done:
                done = not until_closed & self._open.keys() or or_until()
                remaining = 0.0 if done else deadline - time.monotonic()
                if not done and (remaining <= 0 or (self.overflowed and not past_overflow)):
                    return False
                # When done, once more: the news of the end may have overtaken the last words.
                for key, _ in selector.select(remaining):
                    chunk = os.read(key.fd, 1 << 16)
                    self._keep(key.data, chunk)
                    full = key.data == "report" and len(self.data["report"]) > REPORT_BYTES
                    if not chunk or full:
                        selector.unregister(key.fileobj)
                        del self._open[key.data]
        return True

    def _keep(self, name: str, chunk: bytes) -> None:
        if name in ("out", "err"):
            self.overflowed |= len(chunk) > self._output_room
            chunk = chunk[: self._output_room]
            self._output_room -= len(chunk)
        self.data[name] += chunk
