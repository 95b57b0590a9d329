"""What a process behind the walls is for: a program, a state of one, or one and its tests."""

import builtins
import contextlib
import importlib
import os
import signal
import socket
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any, NoReturn

from jaxformer.sandbox import program
from jaxformer.sandbox.exchange import GONE, Module, Peer, Remote
from jaxformer.sandbox.messages import receive

REPORT, STATUS, EXTRA = 3, 4, 5
"""Descriptors of such a process. The status is closed before the role begins."""

Job = dict[str, Any]
Settings = dict[str, Any]


def execute(job: Job, settings: Settings) -> NoReturn:
    """Runs a program as `__main__`."""
    main = program.prepare(settings["folder"])
    try:
        code = program.run(job["program"], main, REPORT)
    except SystemExit as error:
        code = program.exit_code(error)
    program.finish(main, code)


def live(_job: Job, settings: Settings) -> NoReturn:
    """Waits for turns; each is run by a copy of this process, which then waits in its turn."""
    main = program.prepare(settings["folder"])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody will ask how copies ended
    turn: Job = {}
    while True:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=EXTRA)
        channel.sendall(b"!")  # at the other end the kernel says who says so
        if not channel.recv(1):  # the supervisor thought better of it
            os._exit(0)
        if turn:
            _run_turn(turn, main)
        turn = _copied_for_turn(channel)


def _copied_for_turn(channel: socket.socket) -> Job:
    """Makes copies as they are asked for; returns in a copy, with its descriptors in place."""
    while True:
        try:
            turn, descriptors = receive(channel)
        except EOFError:
            os._exit(0)
        # The module would seed itself anew in a copy; a turn's seed is to last.
        random = sys.modules.get("random")
        state = random.getstate() if random else None
        if os.fork():
            for descriptor in descriptors:
                os.close(descriptor)
            channel.sendall(b"!")
            continue
        if random:
            random.setstate(state)
        channel.close()
        for descriptor, place in zip(descriptors, (1, 2, REPORT, STATUS, EXTRA), strict=True):
            os.dup2(descriptor, place)
            os.close(descriptor)
        return turn


def _run_turn(turn: Job, main: types.ModuleType) -> None:
    try:
        code = program.run(turn["code"], main, REPORT, turn["name"], last=False)
    except SystemExit as error:
        code = program.exit_code(error)
        program.tell(STATUS, {"code": code, "over": True})
        program.finish(main, code)
    with contextlib.suppress(Exception):
        program.flush()
    nothing = os.open(os.devnull, os.O_WRONLY)
    for place in (1, 2):
        os.dup2(nothing, place)
    os.close(nothing)
    with contextlib.suppress(OSError):
        os.close(REPORT)
    program.tell(STATUS, {"code": code, "over": False})
    os.close(STATUS)


def answer(job: Job, settings: Settings) -> NoReturn:
    """Runs a program as a module and lets its functions be called."""
    module = program.prepare(settings["folder"], "program")
    try:
        code = program.run(job["program"], module, REPORT)
    except SystemExit as error:
        program.finish(module, program.exit_code(error))
    if code == 0:
        Peer(EXTRA, EXTRA + 1, module, open=True).serve()
    program.finish(module, code)


def examine(job: Job, _settings: Settings) -> NoReturn:
    """Runs tests in which the program's names stand for what another process has."""
    module = program.prepare(None, "tests")
    peer = Peer(EXTRA, EXTRA + 1, None, open=False)
    source, entry_point = job["program"], job["entry_point"]
    outcome = {"outcome": "passed"}
    try:
        names = _Names(peer, source)
        calls = peer.calls
        candidate = None
        if entry_point is not None:
            names[entry_point] = candidate = peer.call(0, "getattr", [entry_point])
            if isinstance(candidate, Remote):
                calls = peer.calls
        exec(compile(source, "<tests>", "exec", dont_inherit=True), names)
        own = names.get("check")
        if entry_point is not None and callable(own) and own is not candidate:
            own(candidate)
        if peer.calls == calls:
            raise ValueError("the tests ask nothing of the program, not even by check(candidate)")
    except BaseException as error:
        kind = "failed" if isinstance(error, AssertionError) else "exception"
        message = f"{program.describe(error)} at {_line(error, source)}"
        outcome = {"outcome": kind, "message": message[:2000]}
    if peer.broken:  # whatever the tests made of it
        kind = "ended" if peer.broken == GONE else "exception"
        outcome = {"outcome": kind, "message": peer.broken}
    program.tell(REPORT, outcome)
    program.finish(module, 0)


ROLES: dict[str, Callable[[Job, Settings], NoReturn]] = {
    "program": execute,
    "state": live,
    "subject": answer,
    "tests": examine,
}


class _Names(dict[str, Any]):
    """The names of the tests; one that they don't set and Python doesn't know is the program's.

    So a program that redefines `sorted` or `abs` redefines it for itself only. What the tests use
    as a module without importing it, because the program does, is imported here.
    """

    def __init__(self, peer: Peer, source: str) -> None:
        import ast  # of no use to programs, who are copies of a process that has it only for tests

        super().__init__(__name__="tests", __builtins__=builtins)
        self._peer = peer
        nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
        self._owners = {node.value.id for node in nodes if isinstance(node.value, ast.Name)}

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)
        try:
            value = self._peer.call(0, "getattr", [name])
        except AttributeError:
            raise KeyError(name) from None
        module = _ABBREVIATIONS.get(name, name)
        known = {*sys.stdlib_module_names, *_ABBREVIATIONS.values()}
        if (
            name in self._owners
            and module in known
            and not (isinstance(value, Module) and value.name == module)
        ):
            raise NameError(
                f"the tests use {name!r} without importing it; in the program it is no module"
            )
        if not isinstance(value, Module):
            return value
        if value.name.partition(".")[0] not in known:
            raise KeyError(name)
        return importlib.import_module(value.name)


_ABBREVIATIONS = {
    **{"np": "numpy", "numpy": "numpy", "pd": "pandas", "pandas": "pandas"},
    **{"scipy": "scipy", "sp": "sympy", "sympy": "sympy"},
}


def _line(error: BaseException, source: str) -> str:
    """The tests' innermost line that an exception passed."""
    numbers = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == "<tests>"
    ]
    number = numbers[-1] if numbers else None
    if number is None:
        return "no line of the tests"
    return f"line {number} of the tests: {source.splitlines()[number - 1].strip()}"
