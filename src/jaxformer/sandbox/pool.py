"""Several fork servers side by side, and the one that a process shares."""

import atexit
import collections
import contextlib
import functools
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self, TypeVar

from jaxformer.errors import UserError
from jaxformer.sandbox.contracts import DEFAULT_LIMITS, Capabilities, Limits, Result, Tier
from jaxformer.sandbox.worker import Lost, Worker

T = TypeVar("T")


def obstacle(tier: Tier) -> str | None:
    """Why this machine does not offer a tier, found out by running an empty program in it."""
    try:
        with Pool(1, tier=tier) as pool:
            pool.run("")
    except UserError as error:
        return str(error)
    return None


@functools.cache
def probe() -> Capabilities:
    """Finds out, once per process, the strongest tier."""
    missing: dict[str, str] = {}
    tiers: tuple[Tier, ...] = ("namespaces", "landlock")
    for tier in tiers:
        if reason := obstacle(tier):
            missing[tier] = reason
        else:
            return Capabilities(tier, missing)
    return Capabilities("unprotected", missing)


def strongest(*, unprotected: bool) -> Tier:
    """The tier to use on this machine.

    Raises:
        UserError: It offers no isolation, and `unprotected` was not said.
    """
    tier = probe().tier
    if tier == "unprotected" and not unprotected:
        raise UserError(
            "This machine offers no isolation for untrusted programs; use Linux 6.2 or newer or"
            " allow user namespaces, or accept the risk with unprotected=True."
        )
    return tier


class Pool:
    """Runs untrusted programs, several at once; may be used by many threads.

    A fork server is started when all others are busy, and kept.

    Args:
        workers: Programs at once; a call that finds all workers busy waits. If not given, one
            more than this process has cores, for a start and an end leave a core idle in between.
        tier: The protection; the strongest that the machine offers if not given.
        unprotected: Accept a machine that offers none.

    Raises:
        UserError: The machine offers no isolation.
    """

    def __init__(
        self, workers: int | None = None, *, tier: Tier | None = None, unprotected: bool = False
    ) -> None:
        self.tier: Tier = tier or strongest(unprotected=unprotected)
        if workers is not None and workers < 1:
            raise UserError(f"A pool of {workers} workers can do nothing; give one or more.")
        self.workers = workers or _cores() + 1
        self._owner = os.getpid()
        self._free: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(self.workers):
            self._free.put(None)  # not yet started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the fork servers, once they are free."""
        if self._owner != os.getpid():
            return
        for _ in range(self.workers):
            if worker := self._free.get():
                worker.close()
        for _ in range(self.workers):
            self._free.put(None)

    def run(self, program: str, limits: Limits = DEFAULT_LIMITS) -> Result:
        """Runs a Python program with this interpreter and its packages.

        The program has no network, no other process, standard input at its end, and an empty
        private folder, removed afterwards, as its working directory. It can read the interpreter
        and the system's libraries and nothing else.

        Args:
            program: Python source.
            limits: What it may use.

        Returns:
            How it ended; from when a worker is free, at the latest a second after
            `limits.wall_seconds`, unless the machine is at its end.

        Raises:
            UserError: The walls could not be put up, or the fork server was killed twice.
        """
        return self.use(lambda worker: worker.run(program, limits))

    def use(self, use: Callable[[Worker], T]) -> T:
        """Waits for a free worker and does something with it.

        If its fork server is lost meanwhile, it is done again with a new one, but only once.

        Raises:
            UserError: It was lost twice, or could not be started.
        """
        if self._owner != os.getpid():
            raise UserError("This pool is another process's; make one in this process.")
        worker = self._free.get()
        try:
            for _ in range(2):
                worker = worker or Worker(self.tier)
                with contextlib.suppress(Lost):
                    return use(worker)
                worker = _closed(worker)
            raise UserError("The sandbox's process was killed twice; is there enough memory?")
        except BaseException:
            worker = worker and _closed(worker)
            raise
        finally:
            self._free.put(_closed(worker) if worker and worker.lost else worker)

    def map(self, programs: Iterable[str], limits: Limits = DEFAULT_LIMITS) -> Iterator[Result]:
        """Runs programs, several at once, and yields their results in order.

        Programs are taken from the iterable as there is room for them, so that it may be endless.
        """
        waiting: collections.deque[Future[Result]] = collections.deque()
        with ThreadPoolExecutor(self.workers) as threads:
            try:
                for program in programs:
                    waiting.append(threads.submit(self.run, program, limits))
                    if len(waiting) >= 4 * self.workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


def _cores() -> int:
    """The cores that this process may use; not every system says which."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _closed(worker: Worker) -> None:
    worker.close()


_shared: dict[int, Pool] = {}
_lock = threading.Lock()


def shared_pool(*, unprotected: bool = False) -> Pool:
    """The pool of this process; a child of `os.fork` makes its own."""
    with _lock:
        pool = _shared.get(os.getpid())
        if pool is None:
            pool = _shared[os.getpid()] = Pool(unprotected=unprotected)
    return pool


def _renew() -> None:
    """Has a child of `os.fork` begin anew."""
    global _lock
    _lock = threading.Lock()
    _shared.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@atexit.register
def _close_shared() -> None:
    if pool := _shared.pop(os.getpid(), None):
        pool.close()


def run(program: str, limits: Limits = DEFAULT_LIMITS, *, unprotected: bool = False) -> Result:
    """Runs a program in the pool that this process shares; see `Pool.run`.

    Args:
        program: Python source.
        limits: What it may use.
        unprotected: Run even where the machine offers no isolation. Elsewhere it changes nothing.
    """
    strongest(unprotected=unprotected)
    return shared_pool(unprotected=unprotected).run(program, limits)
