"""The fork server: a process behind the outer walls that makes one process for each program.

It has no network and sees no files but the readable ones. Modules that programs ask for are loaded
once and copied with it. The supervisor starts it, tells it over a socket what to do, and ends it,
and everything in it, by closing that socket.
"""

import contextlib
import fcntl
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

from jaxformer.sandbox import program, walls
from jaxformer.sandbox.messages import receive, send
from jaxformer.sandbox.roles import EXTRA, ROLES, STATUS, Job, Settings

OTHERS = 6
"""Processes of the same user beside a program's: the fork server's two, two sleepers, the tests."""


def main(descriptor: int) -> None:
    """Serves the supervisor at the other end of a socket until it is closed.

    Args:
        descriptor: The socket. The first message is the settings: tier, readable, packages, filter
            and folder (the programs' private one).
    """
    control = socket.socket(fileno=descriptor)
    os.umask(0o022)
    program.prepare_streams()
    try:
        settings, _ = receive(control)
        sys.path += [p for p in settings["packages"] if p not in sys.path]
        try:
            server = _enter(settings, control)
        except OSError as error:
            send(control, {"error": str(error)})
            return
        send(control, {"ready": True})
        server.serve()
    except (EOFError, ConnectionError):  # the supervisor is gone
        os._exit(0)


def _enter(settings: Settings, control: socket.socket) -> "Server":
    """Puts up the outer walls; in the tier "namespaces" goes on in a child."""
    if settings["tier"] == "unprotected":
        return Server(settings, control, os.getuid(), None)
    namespaces = settings["tier"] == "namespaces"
    uid = walls.choose_uid(new_root=namespaces)
    processes = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    if namespaces:
        walls.leave_the_host(settings["readable"], settings["folder"])
        if child := os.fork():
            control.close()
            os.waitpid(child, 0)
            os._exit(0)
        walls.end_with_parent()
    # The private folder is mounted later, below its parent; elsewhere it is another every time,
    # and this only finds out whether there is Landlock.
    parent = str(Path(settings["folder"]).parent)
    ruleset = walls.make_ruleset(settings["readable"], parent, required=not namespaces)
    if ruleset is not None and not namespaces:
        os.close(ruleset)
        ruleset = None
    gauge = os.open("self/statm", os.O_RDONLY, dir_fd=processes)
    os.close(processes)
    if os.getuid() == 0:
        walls.keep_needed_privileges()
    return Server(settings, control, uid, ruleset, gauge)


_HANDLES = hasattr(os, "pidfd_open")
_POLL_MILLISECONDS = 5.0  # where the end of a process cannot be waited for with the rest


class _Child:
    """A program's process, where to tell of its end, its namespace, and what may be in that."""

    def __init__(
        self, pid: int, status: int, processes: walls.NewProcesses | None, *, copies: bool
    ) -> None:
        self.pid = pid
        self.handle = os.pidfd_open(pid) if _HANDLES else status  # readable when it has ended
        self.status = status
        self.processes = processes
        self.copies = copies  # of a state, which may outlive it
        self.ended = False

    def end(self) -> None:
        """Notes that it was reaped."""
        self.ended = True
        for descriptor in {self.handle, self.status}:
            os.close(descriptor)


class Server:
    """What the fork server holds.

    Args:
        settings: As told by the supervisor.
        control: The socket to the supervisor.
        uid: The programs' user.
        ruleset: Their Landlock rules, if they are the same for all.
        gauge: A descriptor of this process's `/proc/self/statm`.
    """

    def __init__(
        self,
        settings: Settings,
        control: socket.socket,
        uid: int,
        ruleset: int | None,
        gauge: int | None = None,
    ) -> None:
        self._settings = settings
        self._control = control
        self._uid = uid
        self._ruleset = ruleset
        self._gauge = gauge
        self._filters = {kind: walls.pack_filter(x) for kind, x in settings["filters"].items()}
        self._walled = settings["tier"] != "unprotected"
        self._namespaces = settings["tier"] == "namespaces"
        self._self = os.pidfd_open(os.getpid()) if self._namespaces else -1
        self._children: list[_Child] = []
        for name in [name for name in sys.modules if name.partition(".")[0] == "jaxformer"]:
            del sys.modules[name]  # they are nothing to the programs
        compile("", program.NAME, "exec")  # makes, the first time, the types of syntax trees
        gc.collect()
        gc.freeze()

    def serve(self) -> NoReturn:
        """Takes jobs.

        "load" imports modules, "end" makes an end of all processes that were made, and what names a
        role makes one.
        """
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        while True:
            watched = {child.handle: child for child in self._children if not child.ended}
            for handle in watched:
                poll.register(handle, select.POLLIN)
            ready = poll.poll(None if _HANDLES else _POLL_MILLISECONDS)
            for handle, child in watched.items():
                poll.unregister(handle)
                self._collect(child)
            if any(descriptor == self._control.fileno() for descriptor, _ in ready):
                try:
                    job, descriptors = receive(self._control)
                except (EOFError, ConnectionError):  # the supervisor is gone
                    self._end()
                    os._exit(0)
                if "load" in job:
                    self._load(job["load"])
                    send(self._control, {"loaded": True})
                elif "end" in job:
                    self._end()
                    send(self._control, {"ended": True})
                else:
                    self._start(job, descriptors)

    def _start(self, job: Job, descriptors: list[int]) -> None:
        copies = job["role"] == "state"
        processes = walls.NewProcesses(orphans=copies) if self._namespaces else None
        used_memory = self._used_memory()
        child = processes.fork(self._self) if processes else os.fork()
        if not child:
            self._become_program(job, descriptors, used_memory)
        status = descriptors.pop(3)
        for descriptor in descriptors:
            os.close(descriptor)
        self._children.append(_Child(child, status, processes, copies=copies))

    def _collect(self, child: "_Child") -> None:
        """Tells of a program that came to its end; nothing of it is left then."""
        pid, wait, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            used = usage.ru_utime + usage.ru_stime
            program.tell(child.status, {"wait": wait, "cpu_seconds": used})
            child.end()
            if not child.copies:
                self._remove(child)

    def _end(self) -> None:
        for child in list(self._children):
            self._remove(child)

    def _remove(self, child: "_Child") -> None:
        """Ends a program, and its namespace with all its copies."""
        if not child.ended:
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
            child.end()
        if child.processes:  # whose end waits until its processes are reaped
            child.processes.end()
        self._children.remove(child)

    def _load(self, names: list[str]) -> None:
        """Imports modules, for this program and those after it."""
        for name in names:
            with contextlib.suppress(Exception):  # if it is broken, the program will find out
                importlib.import_module(name)
        gc.collect()
        gc.freeze()

    def _become_program(self, job: Job, descriptors: list[int], used_memory: int) -> NoReturn:
        try:
            self._control.detach()
            job |= _read(descriptors.pop(4))
            inherited = [] if self._ruleset is None else [self._ruleset]
            _arrange([*descriptors, *inherited])
            try:
                folder = self._settings["folder"]
                if self._namespaces:
                    walls.mount_private_folder(folder, self._uid, job["limits"]["file_bytes"])
                elif self._uid != os.getuid():
                    os.chown(folder, self._uid, self._uid)
                self._confine(job, used_memory, len(descriptors) + 1 if inherited else None)
            except Exception as error:
                program.tell(STATUS, {"error": str(error)})
                os._exit(1)
            program.tell(STATUS, {"ready": True})
            os.close(STATUS)
            ROLES[job["role"]](job, self._settings)
        finally:
            os._exit(1)

    def _used_memory(self) -> int:
        if self._gauge is None:
            return 0
        pages = int(os.pread(self._gauge, 64, 0).split()[0])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _confine(self, job: Job, used_memory: int, ruleset: int | None) -> None:
        """Puts up, in the program's process, every wall that its tier promises."""
        walls.limit_resources(job["limits"], used_memory, strict=self._walled)
        if not self._walled:
            os.chdir(self._settings["folder"])
            return
        # The count is per user. An ordinary user's other processes are counted too, unless a user
        # namespace starts from zero: there the fork server's are counted.
        if self._namespaces or self._uid != os.getuid():
            others = OTHERS if self._uid == os.getuid() else 0
            walls.limit_tasks(job["limits"]["processes"] + others)
        if not self._namespaces:
            folder = self._settings["folder"]
            ruleset = walls.make_ruleset(self._settings["readable"], folder, required=True)
        walls.drop_privileges(self._uid)
        os.chdir(self._settings["folder"])
        walls.end_with_parent()  # after the change of user, which would clear it
        if ruleset is not None:
            walls.restrict_files(ruleset)
            os.close(ruleset)
        if job["role"] == "state":
            listener = walls.filter_calls(self._filters["notify"], walls.NO_PROCESS, listen=True)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=EXTRA) as channel:
                send(channel, {}, [listener])
                channel.detach()
            os.close(listener)
        else:
            walls.filter_calls(self._filters["deny"], os.getpid())


def _read(descriptor: int) -> Job:
    """What only the program's own process is to know: its text."""
    data = bytearray()
    while part := os.read(descriptor, 1 << 14):
        data += part
    os.close(descriptor)
    return json.loads(data)


def _arrange(descriptors: list[int]) -> None:
    """Makes an empty input and these descriptors 0, 1, 2, … and closes all others.

    The input is opened anew, for locks and flags belong to all who share an open file.
    """
    descriptors = [os.open(os.devnull, os.O_RDONLY), *descriptors]
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 64) for descriptor in descriptors]
    for number, descriptor in enumerate(high):
        os.dup2(descriptor, number)
    os.closerange(len(descriptors), 1 << 16)
