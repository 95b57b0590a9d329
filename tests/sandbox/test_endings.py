"""Whoever is killed: nothing of the sandbox is left, nothing finished is lost, the pool goes on."""

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jaxformer.errors import UserError
from jaxformer.sandbox import Limits, Pool, Result, Tier, check, probe

SERVER = "jaxformer.sandbox import zygote"
sessions: set[str] = set()


@pytest.fixture(params=["namespaces", "landlock"])
def tier(request: pytest.FixtureRequest) -> Tier:
    if reason := probe().missing.get(request.param):
        pytest.skip(reason)
    return request.param


def processes(parent: int | None = None) -> dict[int, int]:
    """The processes of the fork servers that `parent` started, and the parents of each.

    Each server leads a session, so that they are found after the supervisor's end too.
    """
    found: dict[str, tuple[str, str]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if SERVER in (process / "cmdline").read_text():
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                found[process.name] = (fields[1], fields[3])
        except OSError:
            continue
    mine = str(parent or os.getpid())
    sessions.update(pid for pid, (above, _) in found.items() if above == mine)
    return {int(pid): int(above) for pid, (above, s) in found.items() if s in sessions}


def servers() -> list[int]:
    """The outer processes of this process's fork servers."""
    return [pid for pid, parent in processes().items() if parent == os.getpid()]


def below(pid: int) -> int:
    """The first child of a process."""
    return min(child for child, parent in processes().items() if parent == pid)


def wait_for(count: int, parent: int | None = None) -> None:
    deadline = time.monotonic() + 30  # a busy machine starts servers late
    while len(processes(parent)) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(processes(parent)) >= count


def assert_none_left(seconds: float = 2.0) -> None:
    deadline = time.monotonic() + seconds
    while (left := processes()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No process, descriptor or folder, after a test of which each closes its pools."""
    probe()
    assert_none_left()
    opened, folders = descriptors(), temporary()
    yield
    assert_none_left()
    assert descriptors() == opened
    assert temporary() <= folders


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def temporary() -> set[str]:
    """The folders of fork servers of this user's that others don't use at this moment."""
    return {
        path.name
        for path in Path(tempfile.gettempdir()).glob("jaxformer-sandbox-*")
        if path.name in made
    }


made: set[str] = set()


@pytest.fixture(autouse=True)
def remember_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    make = tempfile.mkdtemp

    def mkdtemp(*args: str, **kwargs: str) -> str:
        folder = make(*args, **kwargs)
        made.add(Path(folder).name)
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)


# --- the supervisor -------------------------------------------------------------------------------

SUPERVISOR = """
import sys, threading, time
from jaxformer.sandbox import Limits, Live, Pool, check
limits = Limits(wall_seconds=60, cpu_seconds=60)
pool = Pool(4, tier={tier!r})
def start(function, *args): threading.Thread(target=function, args=args).start()
for _ in range(3): start(pool.run, "import time; time.sleep(60)", limits)
slow = "import time\\ndef f(): time.sleep(60)"
start(lambda: check(slow, "f()", limits, pool=pool))
if {tier!r} == "namespaces":
    live = Live(limits)
    live.run("x = 1")
    start(live.run, "import time; time.sleep(60)")
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_all_end_with_their_supervisor(tier: Tier, number: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        code = SUPERVISOR.format(tier=tier)
        environment = {**os.environ, "TMPDIR": folder}
        with subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL
        ) as supervisor:
            try:
                wait_for(9, supervisor.pid)  # four servers and at least five of their processes
                time.sleep(1)
            finally:
                os.kill(supervisor.pid, number)
        assert_none_left()


# --- fork servers and programs --------------------------------------------------------------------


@pytest.mark.parametrize("inner", [False, True])
def test_a_killed_server_is_replaced(tier: Tier, inner: bool) -> None:
    with Pool(1, tier=tier) as pool:
        for n in range(3):
            assert pool.run(f"print({n})").stdout == f"{n}\n"
            [server] = servers()
            if inner and tier == "landlock":
                return  # where there is but one
            kill(below(server) if inner else server)
            if n == 1:
                time.sleep(0.2)  # long enough for its end to be seen
        assert check("def f(): return 1", "assert f() == 1", pool=pool).passed
        assert pool.run("print('well')").stdout == "well\n"


@pytest.mark.parametrize("inner", [False, True])
def test_a_program_whose_server_is_killed_runs_again(tier: Tier, inner: bool) -> None:
    if inner and tier == "landlock":
        pytest.skip("where there is but one")
    with Pool(1, tier=tier) as pool, ThreadPoolExecutor(1) as threads:
        pool.run("")
        future = threads.submit(pool.run, "import time; time.sleep(1); print('done')")
        time.sleep(0.3)
        [server] = servers()
        kill(below(server) if inner else server)
        assert future.result(10).stdout == "done\n"
        future = threads.submit(
            check, "import time\ndef f(): time.sleep(1)", "assert f() is None", pool=pool
        )
        time.sleep(0.3)
        [server] = servers()
        kill(below(server) if inner else server)
        assert future.result(10).passed


def test_a_server_killed_twice_is_told(tier: Tier) -> None:
    with Pool(1, tier=tier) as pool, ThreadPoolExecutor(1) as threads:
        pool.run("")
        future = threads.submit(pool.run, "import time; time.sleep(5)")
        killed: set[int] = set()
        while len(killed) < 2:
            time.sleep(0.4)
            fresh = set(servers()) - killed
            for server in fresh:
                kill(server)
            killed |= fresh
        with pytest.raises(UserError, match="killed twice"):
            future.result(10)
        assert pool.run("print('well')").stdout == "well\n"


def test_a_killed_program_is_only_that(tier: Tier) -> None:
    with Pool(1, tier=tier) as pool, ThreadPoolExecutor(1) as threads:
        pool.run("")
        [server] = servers()
        future = threads.submit(pool.run, "import time; time.sleep(5)")
        time.sleep(0.4)
        kill(max(processes()))  # the last to be made
        result = future.result(4)
        assert (result.status, result.stdout) == ("killed", "")
        assert pool.run("print('well')").stdout == "well\n"
        assert servers() == [server]


def test_finished_results_are_not_lost(tier: Tier) -> None:
    with Pool(2, tier=tier) as pool:
        programs = [f"import time; time.sleep(0.05); print({n})" for n in range(24)]
        outputs: list[str] = []
        for n, result in enumerate(pool.map(programs)):
            outputs.append(result.stdout)
            if n in (3, 12):
                kill(servers()[0])
        assert outputs == [f"{n}\n" for n in range(24)]


def test_many_threads_and_random_kills(tier: Tier) -> None:
    over, chosen = threading.Event(), random.Random(0)

    def harass() -> None:
        while not over.wait(0.15):
            if alive := servers():
                kill(chosen.choice(alive))

    def one(n: int) -> Result | UserError:
        try:
            return pool.run(f"import time; time.sleep({n % 3} / 100); print({n})")
        except UserError as error:
            return error

    with Pool(4, tier=tier) as pool, ThreadPoolExecutor(8) as threads:
        killer = threading.Thread(target=harass)
        killer.start()
        results = list(threads.map(one, range(200)))
        over.set()
        killer.join()
        assert pool.run("print('well')").stdout == "well\n"
    right = 0
    for n, result in enumerate(results):
        if isinstance(result, UserError):
            assert "killed twice" in str(result) or "could not be set up" in str(result)
        else:
            assert (result.status, result.stdout) == ("ok", f"{n}\n")
            right += 1
    assert right > 150


def test_programs_are_taken_as_there_is_room(tier: Tier) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        for n in itertools.count():
            taken = n + 1
            yield f"print({n})"

    with Pool(2, tier=tier) as pool:
        results = pool.map(endless(), Limits(wall_seconds=5))
        for n, result in enumerate(itertools.islice(results, 20)):
            assert result.stdout == f"{n}\n"
            assert taken <= n + 4 * pool.workers + 1
            if n == 5:
                time.sleep(0.5)
        results.close()  # pyright: ignore[reportAttributeAccessIssue]
        assert pool.run("print('well')").stdout == "well\n"


def test_an_iterable_that_fails_ends_the_pool_no_more(tier: Tier) -> None:
    def failing() -> Iterator[str]:
        yield "print(0)"
        raise LookupError

    with Pool(2, tier=tier) as pool:
        with pytest.raises(LookupError):
            list(pool.map(failing()))
        assert [r.stdout for r in pool.map(["print(1)"])] == ["1\n"]


def test_a_program_learns_nothing_from_earlier_checks(tier: Tier) -> None:
    """A process is a copy of the fork server, which must not have seen the tests."""
    search = (
        "import ctypes, os, re\nr, w = os.pipe()\nos.set_blocking(r, False)\n"
        "libc = ctypes.CDLL(None)\nlibc.sbrk.restype = ctypes.c_void_p\n"
        "libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]\n"
        "def search(page, step):\n    while libc.write(w, page, 4096) > 0:\n"
        "        hits = re.findall(rb'(?:plain|weigh).[0-9]+. == [0-9]+', os.read(r, 4096))\n"
        "        found.update(hits)\n"
        "        page += step\n"
        "found = set()\nhere = id(found) & ~4095\n"
        "for start in (libc.sbrk(0) - 4096, here): search(start, -4096)\n"
        "search(here, 4096)\nprint(sorted(found))\ndef weigh(x): return 0\n"
    )
    tests = "".join(f"assert weigh({n}) == 7351{n}\n" for n in range(100))
    with Pool(1, tier=tier) as pool:
        verdicts = [check(search, tests, pool=pool) for _ in range(3)]
        assert [(v.status, v.stdout) for v in verdicts] == [("failed", "[]\n")] * 3
        # The search is a true one: it finds what is in its own memory.
        known = "text = ''.join(f'plain({n}) == 7351{n}\\n' for n in range(100))\n"
        assert "plain(99) == 735199" in check(known + search, tests, pool=pool).stdout
