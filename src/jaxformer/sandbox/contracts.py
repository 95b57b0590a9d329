"""What goes into a run and what comes out of it."""

import dataclasses
import math
from typing import Literal

from jaxformer.errors import UserError

Tier = Literal["namespaces", "landlock", "unprotected"]
Status = Literal["ok", "exit", "exception", "memory", "timeout", "output", "killed"]


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one program may use. A program has one process, so each limit holds for all of it.

    Attributes:
        wall_seconds: Time from the start of its process to the end.
        cpu_seconds: Processor time of all its threads together.
        memory_bytes: Address space beyond that of the interpreter with its warm modules.
        output_bytes: Standard output and standard error together.
        file_bytes: All files together. In the tier "landlock" what exceeds it is found within a
            tenth of a second, and what is deleted but held open counts for each file alone.
        open_files: Open file descriptors.
        processes: Threads at once. Counted in the tier "namespaces"; in "landlock" only where
            root hands the program to an unprivileged user. Elsewhere `memory_bytes` bounds them.
    """

    wall_seconds: float = 10.0
    cpu_seconds: int = 10
    memory_bytes: int = 1 << 30
    output_bytes: int = 1 << 20
    file_bytes: int = 16 << 20
    open_files: int = 64
    processes: int = 64

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            whole = isinstance(value, int) or field.name == "wall_seconds"
            if not whole or not math.isfinite(value) or value <= 0:
                kind = "number" if field.name == "wall_seconds" else "whole number"
                raise UserError(
                    f"The limit {field.name} is {value!r}; give a {kind} greater than zero."
                )


DEFAULT_LIMITS = Limits()


@dataclasses.dataclass(frozen=True)
class Result:
    """How a program ended.

    Attributes:
        status: "ok" (exit code 0), "exit" (another exit code, as from `sys.exit(3)`), "exception"
            (uncaught), "memory" (an uncaught MemoryError), "timeout" (wall clock or CPU), "output"
            (too much of it, or in the weaker tiers of files) or "killed" (by a signal, such as a
            segmentation fault).
        stdout: Standard output, what is not UTF-8 replaced.
        stderr: Standard error, likewise; a traceback shows the program's frames only.
        exception: Type and message, "ZeroDivisionError: division by zero", or None.
        exit_code: As a shell's, negative for a signal; None if the supervisor ended the program.
        seconds: Wall-clock time, the start of the process included.
        tier: The protection it ran under.
    """

    status: Status
    stdout: str
    stderr: str
    exception: str | None
    exit_code: int | None
    seconds: float
    tier: Tier


@dataclasses.dataclass(frozen=True)
class Capabilities:
    """What isolation this machine offers.

    Attributes:
        tier: The strongest tier that could be set up. "namespaces": a file system, network, process
            table and IPC of its own. "landlock": the host's, behind Landlock and a system-call
            filter. "unprotected": limits only.
        missing: Why each stronger tier could not.
    """

    tier: Tier
    missing: dict[str, str]
