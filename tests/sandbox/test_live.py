"""Programs that live on between turns, and turns that would rather not play by the rules."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jaxformer.errors import UserError
from jaxformer.sandbox import Limits, Live, Result, State, live, probe

pytestmark = pytest.mark.skipif(
    probe().tier != "namespaces",
    reason=f"needs the tier 'namespaces': {probe().missing.get('namespaces')}",
)
SERVER = "jaxformer.sandbox import zygote"
WALL = 1.5
sessions: set[str] = set()
LIMITS = Limits(wall_seconds=WALL, memory_bytes=256 << 20)


@pytest.fixture
def room() -> Iterator[Live]:
    with Live(LIMITS) as room:
        yield room


def processes() -> set[str]:
    """The processes of this process's fork servers, each of which leads a session."""
    found: dict[str, tuple[str, str]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if SERVER in (process / "cmdline").read_text():
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                found[process.name] = (fields[1], fields[3])
        except OSError:
            continue
    sessions.update(pid for pid, (parent, _) in found.items() if parent == str(os.getpid()))
    return {pid for pid, (_, session) in found.items() if session in sessions}


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def assert_at_most(before: set[str], count: int) -> None:
    """So many processes are left of those started since `before`, within two seconds."""
    deadline = time.monotonic() + 2
    while len(left := processes() - before) > count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(left) <= count


def follow(room: Live, *turns: str) -> tuple[Result, State]:
    """Runs turns one after another, of which none may end the program."""
    result, state = room.run("")
    for turn in turns:
        assert state is not None
        result, state = room.run(turn, state)
    assert state is not None, result
    return result, state


# --- honest turns ---------------------------------------------------------------------------------


def test_what_turns_make_lives_on(room: Live) -> None:
    result, _ = follow(
        room,
        "import math\nfrom collections import deque\nx = [1]\nprint('first')",
        "def area(r): return math.pi * r * r\nclass Box:\n    made = 0",
        "x.append(2); Box.made += 1; y = x; g = (n * n for n in range(9)); next(g); next(g)",
        "print(x is y, x, Box.made, round(area(1), 2), deque([1]), list(g)[:2], __name__)",
    )
    assert result.stdout == "True [1, 2] 1 3.14 deque([1]) [4, 9] __main__\n"
    assert (result.status, result.stderr, result.tier) == ("ok", "", "namespaces")


def test_output_belongs_to_its_turn(room: Live) -> None:
    _, state = follow(room, "import sys\nprint('one', end='')")
    result, state = room.run("print('two'); print('three', file=sys.stderr, end='')", state)
    assert (result.stdout, result.stderr) == ("two\n", "three")
    result, _ = room.run("pass", state)
    assert (result.stdout, result.stderr) == ("", "")


def test_candidates_do_not_see_each_other(room: Live) -> None:
    _, base = follow(room, "x = [0]")
    states = [room.run(f"x.append({n}); mine{n} = 1", base)[1] for n in range(5)]
    for n, state in enumerate(states):
        result, _ = room.run("print(x, [k for k in dir() if k.startswith('mine')])", state)
        assert result.stdout == f"[0, {n}] ['mine{n}']\n"
    assert room.run("print(x)", base)[0].stdout == "[0]\n"
    assert room.run("print(x)")[0].exception == "NameError: name 'x' is not defined"


def test_exceptions_keep_a_state(room: Live) -> None:
    result, state = room.run("x = 1\ndef f(): return 1 / 0\nf()\nx = 2")
    assert (result.status, result.exception) == (
        "exception",
        "ZeroDivisionError: division by zero",
    )
    assert "return 1 / 0" in result.stderr
    assert room.run("print(x)", state)[0].stdout == "1\n"
    result, state = room.run("def f(:", state)
    assert result.exception is not None
    assert room.run("print(x)", state)[0].stdout == "1\n"


def test_a_lack_of_memory_keeps_a_state(room: Live) -> None:
    _, state = follow(room, "x = 5")
    result, state = room.run("a = []\nwhile True: a.append(' ' * 10**6)", state)
    assert result.status == "memory"
    assert state is None or room.run("print(x)", state)[0].stdout == "5\n"


@pytest.mark.parametrize(
    ("turn", "status", "code"),
    [
        ("import sys; sys.exit()", "ok", 0),
        ("exit(3)", "exit", 3),
        ("import os; os._exit(4)", "exit", 4),
        ("import ctypes; ctypes.string_at(0)", "killed", None),
        ("import os; os.abort()", "killed", None),
        ("while True: pass", "timeout", None),
        ("import time; time.sleep(9)", "timeout", None),
        ("while True: print('x' * 999)", "output", None),
    ],
)
def test_ends(room: Live, turn: str, status: str, code: int | None) -> None:
    _, base = follow(room, "x = 1")
    result, state = room.run("print('before')\n" + turn, base)
    if "_exit" not in turn:  # which leaves nobody to tell the code
        assert (result.status, result.exit_code) == (status, code)
    assert (state, result.stdout[:7]) == (None, "before\n")
    assert result.seconds < WALL + 2
    assert room.run("print(x)", base)[0].stdout == "1\n"


def test_turns_cannot_make_processes(room: Live) -> None:
    attempts = (
        "os.fork()",
        "subprocess.run(['true'])",
        "os.posix_spawn('/usr/bin/true', ['true'], {})",
        "os.execv('/usr/bin/true', ['true'])",
        "os.kill(1, 9)",
        "os.setsid()",
    )
    body = "".join(f"try: {a}\nexcept OSError as e: print(e.errno)\n" for a in attempts)
    for _ in range(2):
        result, _ = follow(room, "import os, subprocess", body)
        assert (result.status, result.stdout) == ("ok", "1\n" * len(attempts))


def test_dropped_states_are_gone(room: Live) -> None:
    before = processes()
    states = [follow(room, "x = 1")[1] for _ in range(3)]
    assert len(processes() - before) >= 3
    for state in states:
        room.drop(state)
        room.drop(state)
    for state in list(room._states):
        if state is not room.start:
            room.drop(state)
    assert_at_most(before, 0)
    with pytest.raises(UserError, match="dropped"):
        room.run("pass", states[0])
    assert room.run("print(1)")[0].stdout == "1\n"


def test_states_are_bounded(room: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_STATES", 4)
    states = [room.run("")[1] for _ in range(3)]
    with pytest.raises(UserError, match="4 states"):
        room.run("")
    assert states[0] is not None
    room.drop(states[0])
    assert room.run("print(1)")[0].stdout == "1\n"


def test_as_many_states_as_are_promised(room: Live) -> None:
    state: State | None = room.start
    for n in range(live.MOST_STATES - 1):
        result, state = room.run(f"x{n} = 1", state)
        assert result.status == "ok"
    with pytest.raises(UserError, match="states already"):
        room.run("", state)


def test_nothing_is_left_after_the_end() -> None:
    before, opened = processes(), descriptors()
    for _ in range(3):
        with Live(LIMITS) as room:
            follow(room, "x = 1", "import threading, time", "y = 2")
            room.run("threading.Thread(target=time.sleep, args=(60,)).start()")
            room.run("import os; os._exit(0)")
    assert_at_most(before, 0)
    assert descriptors() == opened


# --- hostile turns --------------------------------------------------------------------------------

WRITE = "import os\nfor i in range(3, 16):\n    try: os.write(i, {})\n    except OSError: pass\n"
LOOP = (
    "import os, threading, time\ndef loop():\n    while True:\n        try: {}\n"
    "        except OSError: pass\n        time.sleep(0.0005)\n"
    "for _ in range(4): threading.Thread(target=loop, daemon=True).start()\n"
)
HOSTILE = {
    "over": WRITE.format('b\'{"code": 0, "over": true}\\n\''),
    "status": WRITE.format('b\'{"code": 7, "over": false}\\n\' * 9'),
    "junk": WRITE.format("b'\\xff[[[{' * 999 + b'\\n'"),
    "deep status": WRITE.format("b'[' * 30_000 + b'\\n'"),
    "odd status": WRITE.format('b\'{"code": [], "over": {}}\\n[]\\n3\\n{"wait": 1}\\n\''),
    "hello": WRITE.format("b'!'"),
    "two hellos": WRITE.format("b'!!'") + "os.write(5, b'!')",
    "closed": "import os\nos.closerange(3, 10)",
    "all closed": "import os\nos.closerange(0, 64)",
    "copies of descriptors": "import os\nfor i in range(6): os.dup(i)",
    "no fork": "import os\nos.fork = lambda: 0",
    "only fork": "import os\nos.fork = lambda: 1",
    "two forks": "import os\nf = os.fork\nos.fork = lambda: f() or os.fork()",
    "no sockets": "import socket\nsocket.socket = socket.recv_fds = None",
    "sockets of its own": "import socket\nsocket.socket.sendall = lambda *_: None",
    "no json": "import json\njson.loads = json.dumps = lambda *_: {}",
    "no flush": "import sys\nsys.stdout = sys.stderr = None",
    "no exec": "import builtins\nbuiltins.exec = builtins.compile = lambda *_: None",
    "signals": "import os, signal\nfor s in (17, 14, 15):\n    signal.signal(s, signal.SIG_IGN)",
    "ends later": "import signal, os\nsignal.signal(14, lambda *_: os._exit(0))\nsignal.alarm(1)",
    "reads the channel": LOOP.format("os.read(5, 99)"),
    "writes the channel": LOOP.format("os.write(5, b'!')"),
    "forks": LOOP.format("os.fork() or os._exit(0)"),
    "kills others": "import os\nfor p in range(1, 99):\n"
    "    try: p == os.getpid() or os.kill(p, 9)\n"
    "    except OSError: pass",
    "kills itself later": "import threading, os\nthreading.Timer(0.2, os._exit, [0]).start()",
    "stops": "import os\nos.kill(os.getpid(), 19)",
    "stops later": "import threading, os\nthreading.Timer(0.1, os.kill, [os.getpid(), 19]).start()",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_turns_hang_nothing(room: Live, name: str) -> None:
    before = processes()
    _, base = follow(room, "x = 1")
    state: State | None = base
    for turn in (HOSTILE[name], "print('next')", "import time; time.sleep(0.3); print('last')"):
        started = time.monotonic()
        try:
            result, state = room.run(turn, state)
            assert result.exit_code in (None, *range(256))
        except UserError:
            state = None
        assert time.monotonic() - started < WALL + 6
        # No more processes than states.
        assert_at_most(before, len(room._states))
        if state is None:
            break
    # The others have not noticed.
    assert room.run("print(x)", base)[0].stdout == "1\n"
    assert room.run("print(1)")[0].stdout == "1\n"


def test_a_state_cannot_stand_for_two(room: Live) -> None:
    """A state that answers in its copy's place would be what another candidate finds changed."""
    turn = (
        "import os, socket\nold = socket.socket.sendall\n"
        "def fork():\n    return 0\nos.fork = fork\nseen = []"
    )
    _, state = follow(room, turn)
    with pytest.raises(UserError, match="did not copy itself"):
        room.run("seen.append(1)", state)
    with pytest.raises(UserError, match="dropped"):
        room.run("print(seen)", state)


def test_states_are_paused_and_seeds_last(room: Live) -> None:
    _, state = follow(
        room,
        "import random, threading\nrandom.seed(0)\nn = 0\n"
        "def count():\n    global n\n    while True: n += 1\n"
        "threading.Thread(target=count, daemon=True).start()",
    )
    seen = []
    for _ in range(3):
        result, after = room.run("print(random.random())", state)
        assert after is not None
        room.drop(after)
        seen.append((result.stdout, room.run("m = n; print(m == n)", state)[0].stdout))
        time.sleep(0.2)
    assert seen == [(f"{random.Random(0).random()}\n", "True\n")] * 3
    assert cpu_seconds(state.pid) < 0.3


def test_a_turn_that_says_it_is_over_is_stopped(room: Live) -> None:
    _, state = room.run(
        'import os\nos.write(4, b\'{"code": 0, "over": false}\\n\')\n'
        "os.closerange(1, 5)\nwhile True: pass"
    )
    assert state is not None
    before = cpu_seconds(state.pid)
    time.sleep(0.5)
    assert cpu_seconds(state.pid) - before < 0.1


def test_processes_that_nobody_owns_up_to_are_ended(room: Live) -> None:
    before = processes()
    turn = (
        "import os\nreal = os.fork\nos.fork = lambda: 0 if real() else __import__('time').sleep(99)"
    )
    for _ in range(3):
        _, state = follow(room, turn)
        with pytest.raises(UserError, match="did not copy itself"):
            room.run("pass", state)
    assert_at_most(before, len(room._states))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
