"""Many independent pieces of work, on the cores of this machine or of a Ray cluster."""

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from jaxformer.errors import UserError

Task = Callable[[Path, int], None]
"""Does one piece of work: the build's folder, the number of the piece. It leaves files only."""


class Crew(Protocol):
    """Those who do the work."""

    def do(self, task: Task, folder: Path, numbers: Sequence[int]) -> Iterator[int]:
        """Do all pieces, and yield the number of each when it is done."""
        ...


class Alone:
    """Does all work in this process."""

    def do(self, task: Task, folder: Path, numbers: Sequence[int]) -> Iterator[int]:
        """Do all pieces, one after the other."""
        for number in numbers:
            task(folder, number)
            yield number


class _Cores:
    """Processes with a pipe each: whichever is killed, this one knows at once."""

    def __init__(self, workers: int):
        self.workers = workers
        self.pipes: list[Connection] = []
        self.processes: list[BaseProcess] = []
        self.start()

    def start(self) -> None:
        # A fork is ready at once, and safe while there is one thread.
        alone = threading.active_count() == 1 and "jax" not in sys.modules
        context: Any = multiprocessing.get_context("fork" if alone else "forkserver")
        for _ in range(self.workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(process)

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
        for process, pipe in zip(self.processes, self.pipes, strict=True):
            process.join()
            pipe.close()
        self.processes, self.pipes = [], []

    def do(self, task: Task, folder: Path, numbers: Sequence[int]) -> Iterator[int]:
        if not self.processes:
            self.start()
        left = iter(numbers)
        busy: dict[Connection, int] = {}

        def hand_out(pipes: Iterable[Connection]) -> None:
            for pipe, number in zip(pipes, left, strict=False):
                pipe.send((task, folder, number))
                busy[pipe] = number

        try:
            hand_out(self.pipes)
            while busy:
                for pipe in wait(busy):
                    assert isinstance(pipe, Connection)
                    number, error = busy.pop(pipe), _receive(pipe)
                    if error is not None:
                        raise error
                    hand_out([pipe])
                    yield number
        except BrokenPipeError as error:
            self.stop()
            raise _killed() from error
        except BaseException:  # or nobody wants the rest; what is half done does not count
            self.stop()
            raise


def _receive(pipe: Connection) -> Exception | None:
    """Return how a piece of work ended."""
    try:
        return pipe.recv()
    except (EOFError, ConnectionResetError):
        return _killed()


def _killed() -> UserError:
    return UserError(
        "A worker process was killed, perhaps for want of memory; run the same command again to go "
        "on, with fewer --workers."
    )


def _work(pipe: Connection) -> None:
    """Do what comes through a pipe, and tell the end of each piece."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees to it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        task, folder, number = pipe.recv()
        try:
            task(folder, number)
            pipe.send(None)
        except Exception as error:
            error.add_note(traceback.format_exc())
            pipe.send(_portable(error))


def _portable(error: Exception) -> Exception:
    """Return the error, or one that says the same if it cannot go from process to process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def _end_with_parent() -> None:
    """End this process when the one that it works for is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


class _Ray:
    def __init__(self, ray: Any):
        self.ray = ray

    def do(self, task: Task, folder: Path, numbers: Sequence[int]) -> Iterator[int]:
        remote = self.ray.remote(task)
        limit = 4 * int(self.ray.cluster_resources().get("CPU", 1))
        pending: dict[Any, int] = {}
        left = iter(numbers)
        while True:
            for _, number in zip(range(limit - len(pending)), left, strict=False):
                pending[remote.remote(folder, number)] = number
            if not pending:
                return
            [done], _ = self.ray.wait(list(pending), num_returns=1)
            try:
                self.ray.get(done)
            except self.ray.exceptions.RayTaskError as error:
                raise error.cause from error
            yield pending.pop(done)


@contextlib.contextmanager
def ray_cluster(workers: int) -> Iterator[Any]:
    """Connect to the Ray cluster of `RAY_ADDRESS`, or start a local one with so many cores.

    Raises:
        UserError: If Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise UserError("Ray is not installed; pip install 'jaxformer[ray]'.") from error
    started = not ray.is_initialized()
    if started:
        address = os.environ.get("RAY_ADDRESS")
        ray.init(
            address=address,
            num_cpus=None if address else workers,
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()


@contextlib.contextmanager
def crew(workers: int | None = None, on: str = "cores") -> Iterator[Crew]:
    """Hire workers: processes here, or the tasks of a Ray cluster (`RAY_ADDRESS`, or a local one).

    The machines of a cluster must see the same folders. There is a worker a core if no number is
    given.

    Raises:
        UserError: If Ray is wanted and not installed.
    """
    if workers is None:
        affine = hasattr(os, "sched_getaffinity")
        workers = len(os.sched_getaffinity(0)) if affine else os.cpu_count() or 1
    if on == "ray":
        with ray_cluster(workers) as ray:
            yield _Ray(ray)
        return
    cores = _Cores(workers)
    try:
        yield cores
    finally:
        cores.stop()
