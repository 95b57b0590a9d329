"""The supervisor's side of one fork server: starts it, gives it programs, watches, and judges."""

import contextlib
import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from jaxformer.errors import UserError
from jaxformer.sandbox import messages, seccomp
from jaxformer.sandbox.contracts import Limits, Result, Tier
from jaxformer.sandbox.process import Process

HOME = "/sandbox/home"
"""The private folder of a program that has a file system of its own."""

WARM = ("ast", "numpy", "pandas", "scipy", "sympy")
"""Modules that a fork server loads when the first program names them, and then keeps."""

_IMPORTS = re.compile(rf"^[ \t]*(?:import|from)[ \t]+({'|'.join(WARM)})\b", re.MULTILINE)
_SYSTEM_PATHS = (
    *("/usr", "/lib", "/lib32", "/lib64", "/nix/store"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives"),
    *("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"),
)
_BOOT = "import sys; sys.path.insert(0, {root!r}); from jaxformer.sandbox import zygote; \
sys.path.remove({root!r}); zygote.main({descriptor})"
_START_SECONDS = 30.0
_GRACE_SECONDS = 5.0
_LEAVE_SECONDS = 1.0
_MOST_FILES = 10_000


_workers: "weakref.WeakSet[Worker]" = weakref.WeakSet()


class Lost(Exception):
    """The fork server ended before the program did."""


class Worker:
    """One fork server, which runs one program at a time; for one thread at a time.

    Args:
        tier: The protection of its programs.

    Attributes:
        lost: Whether the fork server has ended by itself; this worker is then of no more use.

    Raises:
        UserError: The tier could not be set up.
    """

    def __init__(self, tier: Tier) -> None:
        machine = os.uname().machine
        if tier != "unprotected" and not (sys.platform == "linux" and seccomp.supports(machine)):
            raise UserError(f"The sandbox tier {tier!r} needs Linux on x86_64 or aarch64.")
        self.tier: Tier = tier
        self.lost = False
        self._loaded: set[str] = set()
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._stack = contextlib.ExitStack()
        try:
            self._launch()
        except BaseException:
            self.close()
            raise
        _workers.add(self)

    def _launch(self) -> None:
        tier = self.tier
        # The private file system of the strongest tier vanishes by itself.
        if tier == "namespaces":
            self._folder = HOME
        else:
            parent = os.path.realpath(tempfile.mkdtemp(prefix="jaxformer-sandbox-"))
            Path(parent).chmod(0o711)  # for a program that has another user's id
            self._stack.callback(_remove, parent)
            self._folder = parent + "/program"
        self._control, theirs = socket.socketpair()
        self._stack.enter_context(self._control)
        packages = [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
        settings = {
            "tier": tier,
            "folder": self._folder,
            "packages": packages,
            "readable": _outermost([sys.prefix, sys.base_prefix, *packages, *_SYSTEM_PATHS]),
            "filters": {fork: _filter(tier, fork) for fork in ("deny", "notify")},
        }
        root = str(Path(__file__).parents[2])
        with theirs, tempfile.TemporaryFile() as errors:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-s", "-X", "utf8"),
                    *("-c", _BOOT.format(root=root, descriptor=theirs.fileno())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd="/",
                env=_environment(self._folder),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
            theirs.close()
            self._control.settimeout(_START_SECONDS)
            try:
                messages.send(self._control, settings)
                reply, _ = messages.receive(self._control)
            except (OSError, EOFError):
                errors.seek(0)
                last = errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
                reply = {"error": last or "it ended without a message"}
        if "error" in reply:
            raise UserError(f"The sandbox tier {tier!r} could not be set up: {reply['error']}.")
        self._control.settimeout(_GRACE_SECONDS)

    def close(self) -> None:
        """Ends the fork server and everything in it."""
        if self._owner != os.getpid():
            return
        process, self._process = self._process, None
        if process is not None:
            self._control.close()  # at which it ends by itself, if it is well
            try:
                process.wait(_LEAVE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._stack.close()

    @property
    def pid(self) -> int:
        """The process id of the fork server, or of the one that waits for it."""
        assert self._process is not None
        return self._process.pid

    def run(self, program: str, limits: Limits) -> Result:
        """Runs one program; see `Pool.run`.

        Raises:
            Lost: The fork server ended, whoever did it, and took the program with it.
        """
        self.load(program)
        with self.fresh_folder(), Process(limits) as process:
            self.start(process, "program", program, limits)
            process.watch(self.disk_watch(limits))
            if not process.ended:  # after which nothing is left of it
                self.end()
            return process.result(self.tier)

    def load(self, *texts: str) -> None:
        """Has the fork server load the modules that these name and that are worth keeping."""
        new = {name for text in texts for name in _IMPORTS.findall(text)} - self._loaded
        if new:
            self._loaded |= new
            self._ask({"load": sorted(new)}, _START_SECONDS)

    def start(
        self, process: Process, role: str, program: str, limits: Limits, **more: object
    ) -> None:
        """Has the fork server make one process, in one of the roles of `roles.ROLES`."""
        job = {"role": role, "limits": vars(limits)}
        # Not in the message: later programs are copies of the fork server and all that it read.
        with _file(json.dumps({"program": program} | more).encode()) as text:
            out, err, report, status, *others = process.theirs
            descriptors = [out, err, report, status, text, *others]
            try:
                messages.send(self._control, job, descriptors)
            except OSError as error:
                self.lost = True
                raise Lost from error
        process.close_theirs()

    def end(self) -> None:
        """Has the fork server kill and collect every process that it made."""
        self._ask({"end": True}, _GRACE_SECONDS)

    def _ask(self, message: dict[str, object], seconds: float) -> None:
        try:
            self._control.settimeout(seconds)
            messages.send(self._control, message)
            messages.receive(self._control)
        except (OSError, EOFError) as error:
            self.lost = True
            raise Lost from error

    @contextlib.contextmanager
    def fresh_folder(self) -> Iterator[None]:
        """Has the private folder empty for a program, where it is not in a mount of its own."""
        if self.tier == "namespaces":
            yield
            return
        Path(self._folder).mkdir(0o700)
        try:
            yield
        except BaseException:
            self.close()  # first, for something may still be at work in it
            raise
        finally:
            _remove(self._folder)

    def disk_watch(self, limits: Limits) -> Callable[[], bool] | None:
        """A check of all files together, where no file system of their own bounds them."""
        if self.tier == "namespaces":
            return None
        return lambda: _exceeds(self._folder, limits.file_bytes, _MOST_FILES)


@contextlib.contextmanager
def _file(data: bytes) -> Iterator[int]:
    """The descriptor of a file without a name, at its beginning."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("program")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _remove(folder: str) -> None:
    """Removes a folder; closed ones and nesting deeper than a path is long are no obstacle."""
    try:
        Path(folder).rmdir()
    except OSError:
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*command, folder], check=False, stderr=subprocess.DEVNULL)


def _exceeds(folder: str, most_bytes: int, most_files: int) -> bool:
    """Whether a folder holds more; sparse files count with their length."""
    folders, files = [folder], 0
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    files += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        most_bytes -= entry.stat(follow_symlinks=False).st_size
                    if most_bytes < 0 or files > most_files:
                        return True
        except (FileNotFoundError, NotADirectoryError):  # it is being worked in
            continue
        except OSError:  # closed to us, or nested too deeply: nobody could tell what is in it
            return True
    return False


def _environment(folder: str) -> dict[str, str]:
    """Nothing of ours but what the dynamic linker needs to start the interpreter."""
    linker = {k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"}
    threads = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        **linker,
        **dict.fromkeys(threads, "1"),  # a pool of threads would use up the limits
        "MALLOC_ARENA_MAX": "2",  # each thread's own would take 64 MB of address space
        "PYTHONHASHSEED": "0",  # sets print in the same order every time
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": folder,
        "TMPDIR": folder,
    }


def _outermost(paths: list[str]) -> list[str]:
    """The existing paths, symbolic links followed too, without those inside another of them."""
    kept: list[str] = []
    for path in sorted({*paths, *map(os.path.realpath, paths)}):
        inside = any(path == k or path.startswith(k + "/") for k in kept)
        if not inside and Path(path).exists():
            kept.append(path)
    return kept


@functools.cache
def _filter(tier: Tier, fork: Literal["deny", "notify"]) -> list[seccomp.Instruction]:
    if tier == "unprotected":
        return []
    return seccomp.build(os.uname().machine, metadata=tier == "namespaces", fork=fork)


def _forget() -> None:
    """Lets go, in a child of `os.fork`, of what is the parent's and is to end with it."""
    for worker in _workers:
        worker._stack.pop_all()  # not to be run here
        worker._control.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
