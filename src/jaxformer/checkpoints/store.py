"""Training state on disk: Orbax checkpoints, written behind the training, whole or not at all."""

import functools
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from jaxformer.errors import UserError

_FULL = ("No space left", "quota exceeded", "File too large", "RESOURCE_EXHAUSTED")
"""How the libraries say that a disk is full."""


class Store:
    """The checkpoints of one stage.

    A checkpoint appears under its step when it is complete; what a kill leaves behind is removed.
    It holds whole arrays, so that it can be restored on another mesh.

    Args:
        folder: Where they are; made if missing.
        keep: How many of the newest stay.
    """

    def __init__(self, folder: Path, keep: int = 1) -> None:
        self.folder = folder.absolute()
        # What Orbax has to tell comes as sentences of this class, not as tracebacks in the log.
        for name in ("absl", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        _hush()
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
        with self._sentences():
            self._manager = ocp.CheckpointManager(
                self.folder, options=options, item_handlers=ocp.StandardCheckpointHandler()
            )

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            with self._sentences():
                self._manager.close()
            return
        try:  # what went wrong first is what is to be told
            self._manager.close()
        except Exception:
            return

    @property
    def latest(self) -> int | None:
        """The step of the newest checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: Any) -> None:
        """Begin to save; an earlier save that failed raises here."""
        with self._sentences():
            self._manager.save(step, args=ocp.args.StandardSave(state), force=True)

    def wait(self) -> None:
        """Wait until what was begun is on disk."""
        with self._sentences():
            self._manager.wait_until_finished()

    def restore(self, like: Any) -> Any:
        """Return the newest checkpoint.

        Args:
            like: A tree of `jax.ShapeDtypeStruct` with shardings: where each array goes.
        """
        with self._readable() as step:
            return self._manager.restore(step, args=ocp.args.StandardRestore(like))

    def shapes(self) -> Any:
        """Return the tree of the newest checkpoint, with shapes in the place of arrays."""
        with self._readable() as step:
            return self._manager.item_metadata(step).tree

    @contextmanager
    def _readable(self) -> Iterator[int]:
        if self.latest is None:
            raise UserError(
                f"There is no checkpoint in {self.folder}; "
                "remove the models of this stage and later ones to train them again."
            )
        try:
            yield self.latest
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            lines = str(error).splitlines() or [type(error).__name__]
            raise UserError(
                f"The checkpoint {self.folder / str(self.latest)} cannot be read "
                f"({lines[0].rstrip('.:')}); remove it to go on from the one before, or from the "
                "start."
            ) from error

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            text = str(error)
            full = any(words in text for words in _FULL)
            reason = (
                "the disk is full"
                if full
                else (text.splitlines() or [type(error).__name__])[0].rstrip(".")
            )
            raise UserError(
                f"A checkpoint could not be saved in {self.folder}: {reason}; "
                "make room, then the same command goes on from the last one."
            ) from error


@functools.cache  # once
def _hush() -> None:
    """Ignore what TensorStore's threads say of other writes after one has failed."""
    usual = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if "Event loop is closed" not in str(unraisable.exc_value):
            usual(unraisable)

    sys.unraisablehook = hook
