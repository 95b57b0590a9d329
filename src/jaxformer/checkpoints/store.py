"""Training state on disk: Orbax checkpoints, written behind the training, whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from jaxformer.errors import UserError


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
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
        with self._sentences():
            self._manager = ocp.CheckpointManager(self.folder, options=options)

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
        try:
            return self._manager.restore(self.latest, args=ocp.args.StandardRestore(like))
        except (ValueError, KeyError, TypeError, OSError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise UserError(
                f"The checkpoint {self.folder / str(self.latest)} cannot be read ({reason}); "
                "remove it to go on from the one before, or from the start."
            ) from error

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            text = str(error)
            full = "space" in text or "RESOURCE_EXHAUSTED" in text or "quota" in text
            reason = "the disk is full" if full else text.splitlines()[0].rstrip(".")
            raise UserError(
                f"A checkpoint could not be saved in {self.folder}: {reason}; "
                "make room, then the same command goes on from the last one."
            ) from error
