"""Programs that attack the sandbox, each with an honest twin that must not be in its way.

Watchers run around every hostile program: whatever it is after, nothing outside may change, nothing
may be learned, and the next program must not notice.
"""

import contextlib
import ctypes
import dataclasses
import functools
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_programs import ALIVE, CASES, LIMITS, Case

from jaxformer.errors import UserError
from jaxformer.sandbox import Limits, Pool, Result, Tier

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tiers are Linux's")

Room = Callable[[str, Limits], Result]
BECOME_PARENT_OF_ORPHANS = 36
OUTSIDE = ("/", "/tmp", "/var/tmp", "/dev", "/dev/shm", "/dev/mqueue", "/usr", "/usr/lib", "/etc")


@contextlib.contextmanager
def open_room(tier: Tier) -> Iterator[Room]:
    """What runs all the programs of this file, one after another, in one tier."""
    with Pool(1, tier=tier) as pool:
        yield pool.run


# --- watchers -------------------------------------------------------------------------------------


def descendants() -> list[int]:
    """The living processes below this one, the orphans among them included."""
    parents: dict[int, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                parents[int(process.name)] = int(parent)
    found = [os.getpid()]
    for parent in found:
        found += [child for child, above in parents.items() if above == parent]
    return found[1:]


def reap_orphans(known: list[int]) -> None:
    """Buries the dead that fell to this process."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == os.getpid() and int(process.name) not in known:
                os.waitpid(int(process.name), os.WNOHANG)


class World:
    """What lies outside the sandbox and in reach of a program without walls.

    Attributes:
        secret: In an environment variable, in a readable file, and with the victim.
        words: What the programs' words between `@` stand for.
    """

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.mark = f"mark-{uuid.uuid4().hex}"
        self.secret = f"secret-{uuid.uuid4().hex}"
        folder.chmod(0o777)
        (folder / "secret").write_text(self.secret)
        (folder / "canary").write_text("alive")
        for name in ("secret", "canary"):
            (folder / name).chmod(0o666)
        stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
        places: list[tuple[int, int, Any]] = [
            (socket.AF_INET, stream, ("127.0.0.1", 0)),
            (socket.AF_INET, datagram, ("127.0.0.1", 0)),
            (socket.AF_UNIX, stream, f"{folder}/stream"),
            (socket.AF_UNIX, datagram, f"{folder}/datagram"),
            (socket.AF_UNIX, stream, f"\0{self.mark}-stream"),
            (socket.AF_UNIX, datagram, f"\0{self.mark}-datagram"),
        ]
        self.ears: list[socket.socket] = []
        for family, kind, address in places:
            ear = stack.enter_context(socket.socket(family, kind))
            ear.bind(address)
            ear.setblocking(False)
            if kind == stream:
                ear.listen()
            self.ears.append(ear)
        for name in ("stream", "datagram"):
            (folder / name).chmod(0o777)
        # It ends when its input does, so with this process at the latest.
        self.victim = stack.enter_context(
            subprocess.Popen(
                ["cat"],
                stdin=subprocess.PIPE,
                env={**os.environ, "SECRET_TOKEN": self.secret},
                start_new_session=True,
            )
        )
        stack.callback(self.victim.kill)
        self.words = {
            "FOLDER": str(folder),
            "TCP": str(self.ears[0].getsockname()[1]),
            "UDP": str(self.ears[1].getsockname()[1]),
            "MARK": self.mark,
            "VICTIM": str(self.victim.pid),
            "SUPERVISOR": str(os.getpid()),
            "PREFIX": sys.prefix,
            "BASE": sys.base_prefix,
            "HERE": str(Path(__file__).parent),
        }

    def fill(self, program: str) -> str:
        """The program with what it can know about the world outside."""
        for word, meaning in self.words.items():
            program = program.replace(f"@{word}@", meaning)
        return program

    def heard(self) -> list[str]:
        """What came in on any socket."""
        came: list[str] = []
        for ear in self.ears:
            with contextlib.suppress(BlockingIOError):
                if ear.type == socket.SOCK_STREAM:
                    ear.accept()[0].close()
                else:
                    ear.recv(1)
                came.append(str(ear.getsockname()))
        return came

    def state(self) -> dict[str, Any]:
        """Everything that no program may change."""
        state: dict[str, Any] = {}
        for path in (self.folder, *sorted(self.folder.iterdir())):
            facts = path.lstat()
            about = (facts.st_mode, facts.st_uid, facts.st_gid, facts.st_nlink, facts.st_mtime_ns)
            state[str(path)] = (*about, os.listxattr(path))
        state["canary"] = (self.folder / "canary").read_text()
        homes = (Path.cwd(), Path.home(), Path(sys.prefix), Path(sys.base_prefix), self.folder)
        marked: list[str] = []
        for place in (*map(Path, OUTSIDE), *homes, Path(os.__file__).parent / "__pycache__"):
            with contextlib.suppress(OSError):
                marked += [str(path) for path in place.iterdir() if self.mark in path.name]
        state["marked"] = marked
        state["abstract"] = Path("/proc/net/unix").read_text().count(f"@{self.mark}")
        state["heard"] = self.heard()
        ours = "jaxformer-"  # which may outlast a program, though not the room
        places = [path.name for path in Path(tempfile.gettempdir()).iterdir()]
        state["temporary"] = sorted(name for name in places if not name.startswith(ours))
        for table in Path("/proc/sysvipc").glob("*"):
            state[str(table)] = table.read_text()
        for pid in (os.getpid(), self.victim.pid):
            stopped = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "TtZ"
            nice, cores = os.getpriority(os.PRIO_PROCESS, pid), os.sched_getaffinity(pid)
            files = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            state[f"process {pid}"] = (stopped, nice, cores, files)
        state["machine"] = (os.uname().nodename, Path.cwd(), self.victim.poll())
        return state


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    libc = ctypes.CDLL(None)
    usual = tempfile.tempdir
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        (folder / "outside").mkdir()
        world = World(folder / "outside", stack)
        patch.setenv("SECRET_TOKEN", world.secret)
        (folder / "temporary").mkdir(mode=0o755)
        patch.setenv("TMPDIR", str(folder / "temporary"))
        tempfile.tempdir = None
        libc.prctl(BECOME_PARENT_OF_ORPHANS, 1, 0, 0, 0)
        try:
            yield world
        finally:
            tempfile.tempdir = usual
            libc.prctl(BECOME_PARENT_OF_ORPHANS, 0, 0, 0, 0)


@dataclasses.dataclass
class Quarters:
    """A room, its tier, and how many processes it keeps when it is at rest."""

    tier: Tier
    run: Room
    processes: int


@pytest.fixture(scope="module", params=["namespaces", "landlock"])
def quarters(request: pytest.FixtureRequest, world: World) -> Iterator[Quarters]:
    before, left = descendants(), set(os.listdir(tempfile.gettempdir()))  # noqa: PTH208
    with contextlib.ExitStack() as stack:
        try:
            room = stack.enter_context(open_room(request.param))
            room(ALIVE, Limits())
        except UserError as error:
            pytest.skip(str(error))
        yield Quarters(request.param, room, len(descendants()))
    assert_at_rest(len(before))
    reap_orphans(before)
    assert set(os.listdir(tempfile.gettempdir())) == left  # noqa: PTH208


def assert_at_rest(processes: int, seconds: float = 2.0) -> None:
    """No more processes of ours than there were; the dying get a moment."""
    deadline = time.monotonic() + seconds
    while len(descendants()) > processes and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(descendants()) <= processes


# --- the programs ---------------------------------------------------------------------------------


def limits_of(case: Case, **others: float) -> Limits:
    return Limits(**{**LIMITS, **case.limits, **others})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile(case: Case, quarters: Quarters, world: World) -> None:
    limits = limits_of(case)
    later = functools.partial(quarters.run, world.fill(case.after), Limits())
    expected = "alive\n" if case.after == ALIVE else later().stdout
    before = world.state()
    started = time.monotonic()
    result = quarters.run(world.fill(case.program), limits)
    assert time.monotonic() - started < limits.wall_seconds + 1.5

    # What happened outside, before what it was told.
    assert world.state() == before
    following = later()
    assert (following.status, following.stdout) == ("ok", expected)
    assert_at_rest(quarters.processes)
    assert world.secret not in repr(result)
    assert len(result.stdout) + len(result.stderr) <= limits.output_bytes
    assert len(result.exception or "") < 10_000
    json.dumps(dataclasses.asdict(result), ensure_ascii=False).encode()

    assert result.tier == quarters.tier
    further = case.landlock if quarters.tier == "landlock" else ""
    assert result.status in f"{case.ends} {further}".split(), result
    if case.output is not None:
        assert result.stdout == case.output
    if case.exception is not None and result.status in ("exception", "memory"):
        assert (result.exception or "").startswith(case.exception)
    if case.code is not None:
        assert result.exit_code == case.code


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_honest_twin(case: Case, quarters: Quarters) -> None:
    result = quarters.run(case.twin, limits_of(case, wall_seconds=10.0))
    assert (result.status, result.exception, result.stdout) == ("ok", None, case.says)


def test_the_attempts_are_true_ones(world: World) -> None:
    """Without walls they get through and the watchers see it."""
    assert not world.heard()
    program = (
        "import os, resource, socket\nfor path in '@FOLDER@/stream', '\\0@MARK@-stream':\n"
        "    socket.socket(socket.AF_UNIX).connect(path)\n"
        "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "for path in '@FOLDER@/datagram', '\\0@MARK@-datagram': a.sendto(b'x', path)\n"
        "socket.create_connection(('127.0.0.1', @TCP@))\n"
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', @UDP@))\n"
        "resource.prlimit(@VICTIM@, resource.RLIMIT_NOFILE, (99, 99))\n"
        "open('@FOLDER@/@MARK@', 'w')\n"
        "os.utime('@FOLDER@/canary', (0, 0))\nprint(open('@FOLDER@/secret').read())"
    )
    before = world.state()
    with open_room("unprotected") as room:
        result = room(world.fill(program), Limits())
    after = world.state()
    (world.folder / world.mark).unlink(missing_ok=True)
    assert (result.status, result.exception, result.stdout) == ("ok", None, f"{world.secret}\n")
    assert len(after["heard"]) == len(world.ears)
    changed = {key for key in before if before[key] != after[key]}
    assert f"process {world.victim.pid}" in changed
    assert {str(world.folder / "canary"), "marked"} <= changed
