"""A program that grows turn by turn: each turn runs the new code only, in the state left behind.

A state is a paused process. Running code in it forks it, by permission of the supervisor: the copy
runs the code and becomes the next state, the old one stays what it was. So several candidates for
a turn can be tried from one state, and a turn is taken back by going on from an earlier state.
"""

import contextlib
import dataclasses
import errno
import fcntl
import math
import os
import re
import select
import signal
import socket
import struct
import threading
from pathlib import Path
from typing import Self

from jaxformer.errors import UserError
from jaxformer.sandbox import messages
from jaxformer.sandbox.contracts import DEFAULT_LIMITS, Limits, Result, Tier
from jaxformer.sandbox.pool import strongest
from jaxformer.sandbox.process import Process
from jaxformer.sandbox.worker import Worker

_LONGEST_CODE = 1 << 22

MOST_STATES = 64
"""States at once."""

_SECONDS = 5.0  # for what takes a millisecond
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1  # ioctls of seccomp's notifications
_NOTICE = struct.Struct("=QII64x")
_ANSWER = struct.Struct("=QqiI")
_CREDENTIALS = struct.Struct("=3i")


class State:
    """A paused process, which holds everything that the turns so far have made."""

    def __init__(self, channel: socket.socket) -> None:
        # The kernel vouches for the process id; it is that of this process's namespace.
        size = socket.CMSG_SPACE(_CREDENTIALS.size)
        _, [(_, _, credentials)], *_ = channel.recvmsg(1, size)
        self.channel = channel
        self.pid: int = _CREDENTIALS.unpack(credentials)[0]
        self._handle = os.pidfd_open(self.pid)
        # Were it gone already and its number another's, this would be another namespace.
        self.namespace = Path(f"/proc/{self.pid}/ns/pid").readlink()

    def go_on(self) -> None:
        """Lets it run."""
        signal.pidfd_send_signal(self._handle, signal.SIGCONT)

    def pause(self) -> None:
        """Stops it with all its threads."""
        signal.pidfd_send_signal(self._handle, signal.SIGSTOP)

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        os.close(self._handle)
        self.channel.close()


class Live:
    """A sandbox whose program lives on between turns; for one thread at a time.

    What a turn leaves in variables, modules and functions is in the next state. Threads are not,
    and files in the private folder belong to all states.

    Args:
        limits: What each state may use. The limits of time are for each turn.

    Attributes:
        start: The empty state.

    Raises:
        UserError: The machine does not offer the tier "namespaces".
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.tier: Tier = strongest(unprotected=True)
        if self.tier != "namespaces":
            raise UserError(
                "Programs that live on between turns need the sandbox tier 'namespaces', and this "
                f"machine offers {self.tier!r}; allow user namespaces, or run whole programs."
            )
        # So that the wall clock is the one that ends a turn, and can say so.
        seconds = max(limits.cpu_seconds, math.ceil(limits.wall_seconds) + 1)
        self._limits = dataclasses.replace(
            limits, cpu_seconds=seconds, processes=limits.processes + MOST_STATES
        )
        self._turns = 0
        self._states: list[State] = []
        self._namespace: Path | None = None
        with contextlib.ExitStack() as stack:
            worker = Worker(self.tier)
            stack.callback(worker.close)
            channel, theirs = _channel()
            process = stack.enter_context(Process(self._limits, [theirs.detach()]))
            worker.start(process, "state", "", self._limits)
            try:
                _, [listener] = messages.receive(channel)
            except (OSError, EOFError, ValueError):
                process.result(self.tier)  # which says why
                raise UserError("The sandbox ended before it could be used.") from None
            self._gate = _Gate(listener)
            stack.callback(self._gate.close)  # after the worker, whose end it waits for
            stack.callback(worker.close)
            self.start = self._add(channel)
            channel.sendall(b"!")
            self.start.pause()
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all states."""
        for state in self._states:
            state.close()
        self._states.clear()
        self._stack.close()

    def run(self, code: str, state: State | None = None) -> tuple[Result, State | None]:
        """Runs code in a copy of a state.

        Args:
            code: Python source.
            state: The state to begin with, which stays as it is; the empty one if not given.

        Returns:
            How the code ended, and the state after it: None if the process came to its end, by an
            exit, a limit or a signal. An uncaught exception leaves a state.

        Raises:
            UserError: The state is closed or has ended, or there are too many.
        """
        state = state or self.start
        if state not in self._states:
            raise UserError("This state was dropped; go on from another.")
        if len(self._states) >= MOST_STATES:
            raise UserError(f"There are {MOST_STATES} states already; drop some.")
        if len(code) > _LONGEST_CODE:
            raise UserError(f"Code of {len(code)} characters is too long for a turn.")
        self._turns += 1
        channel, theirs = _channel()
        with channel, Process(self._limits, [theirs.detach()], trusted=False) as process:
            try:
                self._gate.admit(state.pid)
                state.go_on()
                turn = {"code": code, "name": f"<turn {self._turns}>"}
                messages.send(state.channel, turn, process.theirs)
                process.close_theirs()
            except OSError as error:
                self.drop(state)
                raise UserError("This state has ended; go on from another.") from error
            try:
                after = self._add(channel.dup())
                state.channel.recv(1)  # it has let go of the copy's descriptors
                state.pause()
                channel.sendall(b"!")  # only now does it run the code
            except (OSError, ValueError) as error:
                self.drop(state)
                self._end_strangers()
                raise UserError("This state did not copy itself; go on from another.") from error
            lives = False
            try:
                process.watch()
                if process.ended and not process.stopped and not process.over:
                    with contextlib.suppress(ProcessLookupError):  # it ended all the same
                        after.pause()
                        lives = True
            finally:
                if not lives:
                    self.drop(after)
            return process.result(self.tier), after if lives else None

    def drop(self, state: State) -> None:
        """Ends a state, which frees its memory."""
        if state in self._states:
            self._states.remove(state)
            state.close()

    def _add(self, channel: socket.socket) -> State:
        state = State(channel)
        self._namespace = self._namespace or state.namespace
        known = any(state.pid == other.pid for other in self._states)
        if known or state.namespace != self._namespace:
            raise ValueError("not a copy of a state, and maybe a process that is not ours")
        self._states.append(state)
        return state

    def _end_strangers(self) -> None:
        """Ends what a state forked and what did not make itself known as its copy."""
        known = {state.pid for state in self._states}
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                handle = os.pidfd_open(int(process.name))
                try:
                    numbers = re.search(r"NSpid:(.*)", (process / "status").read_text())
                    first = numbers is not None and numbers[1].split()[-1] == "1"
                    inside = (process / "ns/pid").readlink() == self._namespace
                    if inside and not first and int(process.name) not in known:
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                finally:
                    os.close(handle)


class _Gate:
    """Answers those who want to fork: who was admitted may, once; all others get EPERM."""

    def __init__(self, listener: int) -> None:
        self._listener = listener
        self._admitted: set[int] = set()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def admit(self, pid: int) -> None:
        """Lets a process fork once."""
        self._admitted.add(pid)

    def close(self) -> None:
        """Waits until all are gone who could ask."""
        self._thread.join()
        os.close(self._listener)

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        while True:
            [(_, event)] = poll.poll()
            if not event & select.POLLIN:
                return
            notice = bytearray(_NOTICE.size)
            try:
                fcntl.ioctl(self._listener, _RECEIVE, notice)
                number, pid, _ = _NOTICE.unpack(notice)
                if pid in self._admitted:
                    self._admitted.remove(pid)
                    answer = _ANSWER.pack(number, 0, 0, _CONTINUE)
                else:
                    answer = _ANSWER.pack(number, 0, -errno.EPERM, 0)
                fcntl.ioctl(self._listener, _SEND, bytearray(answer))
            except OSError:  # who asked is gone
                continue


def _channel() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.settimeout(_SECONDS)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return ours, theirs
