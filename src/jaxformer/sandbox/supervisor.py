"""The supervisor: starts a program behind the walls, watches it, and says how it ended."""

import contextlib
import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxformer.errors import UserError
from jaxformer.sandbox import seccomp
from jaxformer.sandbox.contracts import DEFAULT_LIMITS, Capabilities, Limits, Result, Status, Tier
from jaxformer.sandbox.pipes import Reader, pipe

_LAUNCHER = str(Path(__file__).with_name("launcher.py"))
_SYSTEM_PATHS = (
    *("/usr", "/lib", "/lib32", "/lib64", "/nix/store"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives"),
    *("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"),
)
_GRACE_SECONDS = 0.5
_CPU_SIGNALS = (-signal.SIGXCPU, -signal.SIGKILL)


@functools.cache
def probe() -> Capabilities:
    """Finds out, once per process, the strongest tier by running an empty program in each."""
    missing: dict[str, str] = {}
    tiers: tuple[Tier, ...] = ("namespaces", "landlock")
    for tier in tiers:
        try:
            execute("", DEFAULT_LIMITS, tier)
        except UserError as error:
            missing[tier] = str(error)
        else:
            return Capabilities(tier, missing)
    return Capabilities("unprotected", missing)


def run(program: str, limits: Limits = DEFAULT_LIMITS, *, unprotected: bool = False) -> Result:
    """Runs an untrusted Python program with this interpreter and its packages.

    The program has no network, no other process, standard input at its end, and an empty private
    folder, removed afterwards, as its working directory. It can read the interpreter and the
    system's libraries and nothing else.

    Args:
        program: Python source.
        limits: What it may use.
        unprotected: Run even where the machine offers no isolation. Elsewhere it changes nothing.

    Returns:
        How it ended, at the latest a second after `limits.wall_seconds`.

    Raises:
        UserError: The machine offers no isolation, or setting it up failed.
    """
    tier = probe().tier
    if tier == "unprotected" and not unprotected:
        raise UserError(
            "This machine offers no isolation for untrusted programs; use Linux 6.2 or newer or"
            " allow user namespaces, or accept the risk with unprotected=True."
        )
    return execute(program, limits, tier)


def execute(program: str, limits: Limits, tier: Tier) -> Result:
    """Runs a program in the given tier; see `run`."""
    if tier != "unprotected" and not (
        sys.platform == "linux" and seccomp.supports(os.uname().machine)
    ):
        raise UserError(f"The sandbox tier {tier!r} needs Linux on x86_64 or aarch64.")
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        status, status_writer = pipe(stack)
        report, report_writer = pipe(stack)
        # The private file system of the strongest tier vanishes by itself.
        folder = "/sandbox" if tier == "namespaces" else stack.enter_context(_private_folder())
        packages = [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
        job = {
            "program": program,
            "tier": tier,
            "limits": dataclasses.asdict(limits),
            "folder": folder,
            "packages": packages,
            "readable": _outermost([sys.prefix, sys.base_prefix, *packages, *_SYSTEM_PATHS]),
            "filter": _filter(tier),
            "supervisor": os.getpid(),
            "status_fd": status_writer.fileno(),
            "report_fd": report_writer.fileno(),
        }
        stdin = stack.enter_context(tempfile.TemporaryFile())
        stdin.write(json.dumps(job).encode())
        stdin.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", _LAUNCHER],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=_environment(folder),
            pass_fds=(status_writer.fileno(), report_writer.fileno()),
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        stack.enter_context(process.stdout)
        stack.enter_context(process.stderr)
        status_writer.close()
        report_writer.close()
        reader = Reader(
            {"out": process.stdout, "err": process.stderr, "report": report, "status": status},
            limits.output_bytes,
        )
        try:
            in_time = reader.read(started + limits.wall_seconds, {"status"})
        finally:
            # Before the wait, while the process group's number cannot be taken by another.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        # The pipes close when the last process is gone.
        stopped = None if in_time or reader.overflowed else "timeout"
        reader.read(time.monotonic() + _GRACE_SECONDS, set(reader.data), past_overflow=True)
        if stopped is None and reader.overflowed:
            stopped = "output"
    return _verdict(reader.data, stopped, limits, time.monotonic() - started, tier)


def _verdict(
    data: dict[str, bytearray], stopped: Status | None, limits: Limits, seconds: float, tier: Tier
) -> Result:
    """Puts together what the supervisor saw, the launcher told and the program reported."""
    told: dict[str, Any] = {}
    for line in data["status"].splitlines():
        told |= json.loads(line)
    stdout, stderr = (data[name].decode("utf-8", "replace") for name in ("out", "err"))
    if "error" in told:
        raise UserError(f"The sandbox tier {tier!r} could not be set up: {told['error']}.")
    if "ready" not in told and stopped is None:
        last = stderr.strip().rpartition("\n")[2] or "no message"
        raise UserError(f"The sandbox tier {tier!r} ended before the program started: {last}.")

    code = None
    if "wait" in told and stopped is None:
        code = os.waitstatus_to_exitcode(told["wait"])
    report = _parse_report(bytes(data["report"])) if code is not None and code > 0 else {}
    exception = report.get("exception")
    status: Status
    if stopped is not None:
        status = stopped
    elif code is None:
        status = "killed"
    elif code < 0:
        exhausted = told["cpu_seconds"] >= limits.cpu_seconds
        status = "timeout" if exhausted and code in _CPU_SIGNALS else "killed"
    elif exception is not None:
        status = "memory" if report.get("memory") is True else "exception"
    else:
        status = "exit" if code else "ok"
    return Result(status, stdout, stderr, exception, code, seconds, tier)


def _parse_report(line: bytes) -> dict[str, Any]:
    """The program's report; it may be forged, so nothing about it is taken for granted."""
    try:
        report = json.loads(line)
        text = report["exception"].encode("utf-8", "replace").decode()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    return {"exception": text, "memory": report.get("memory")}


@contextlib.contextmanager
def _private_folder() -> Iterator[str]:
    folder = os.path.realpath(tempfile.mkdtemp(prefix="jaxformer-sandbox-"))
    try:
        yield folder
    finally:
        # Closed folders and nesting deeper than a path is long are no obstacle to these tools.
        try:
            Path(folder).rmdir()
        except OSError:
            for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
                subprocess.run([*command, folder], check=False, stderr=subprocess.DEVNULL)


def _environment(folder: str) -> dict[str, str]:
    """Nothing of ours but what the dynamic linker needs to start the interpreter."""
    linker = {k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"}
    threads = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        **linker,
        **dict.fromkeys(threads, "1"),  # a pool of threads would use up the limits
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
def _filter(tier: Tier) -> list[seccomp.Instruction]:
    if tier == "unprotected":
        return []
    return seccomp.build(os.uname().machine, metadata=tier == "namespaces")
