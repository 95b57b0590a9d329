"""Ending a run when it is asked to: Ctrl-C, and SIGTERM from schedulers."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import jax
from jax.experimental import multihost_utils


class Ended(Exception):
    """The run ended as it was asked to, with all saved.

    Attributes:
        status: The exit status that says so: 128 and the signal's number.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Asked:
    """Whether this run was asked to end."""

    number: int | None = None
    _agreed: bool = False

    def at(self, step: int) -> bool:
        """Tell whether to save and end now; all processes of a run answer alike.

        Args:
            step: Counted over all stages, for processes agree on a step that is yet to come.
        """
        if jax.process_count() > 1:  # JAX tells all of them of one's SIGTERM
            self._agreed |= multihost_utils.reached_preemption_sync_point(step)
            return self._agreed
        return self.number is not None

    def end(self, what: str) -> Ended:
        """Return what to raise when all is saved."""
        return Ended(what, 128 + (self.number or signal.SIGTERM))


@contextmanager
def listening() -> Iterator[Asked]:
    """Note SIGTERM and the first Ctrl-C instead of dying of them; a second Ctrl-C ends at once.

    With several processes SIGTERM is JAX's to notice, which tells the others; Ctrl-C, which only
    one of them may hear, ends it at once.
    """
    asked = Asked()

    def note(number: int, _frame: FrameType | None) -> None:
        asked.number = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    heard = [signal.SIGINT, signal.SIGTERM] if jax.process_count() == 1 else []
    before = {number: signal.signal(number, note) for number in heard}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
