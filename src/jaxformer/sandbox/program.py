"""Executes a program in the process that was made for it, behind the walls."""

import atexit
import contextlib
import gc
import io
import json
import linecache
import os
import sys
import threading
import traceback
import types
from typing import Any, NoReturn

NAME = "<program>"
_MESSAGE_LENGTH = 4000  # so that a report always fits into a pipe's buffer


def prepare(folder: str | None, name: str = "__main__") -> types.ModuleType:
    """Makes the interpreter look as if it had just been started for the program.

    Args:
        folder: A folder to import from before all others.
        name: The program's `__name__`.

    Returns:
        An empty module of that name.
    """
    main = types.ModuleType(name)
    sys.modules["__main__"] = sys.modules[name] = main
    sys.argv = [NAME]
    if folder is not None:
        sys.path.insert(0, folder)
        sys.path_importer_cache.pop(folder, None)
    if random := sys.modules.get("numpy.random"):  # all programs are copies of one process
        random.seed()
    return main


def prepare_streams() -> None:
    """Makes standard streams that, unlike those of a start on /dev/null, do not try to seek.

    Programs get other descriptors of the same numbers.
    """
    reading, writing = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, number in ((nothing, 0), (writing, 1), (writing, 2)):
        os.dup2(descriptor, number)
    for descriptor in (reading, writing, nothing):
        os.close(descriptor)
    sys.stdout = sys.__stdout__ = _stream(1, "<stdout>", "strict")
    sys.stderr = sys.__stderr__ = _stream(2, "<stderr>", "backslashreplace")


def _stream(descriptor: int, name: str, errors: str) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w", closefd=False)
    raw.name = name
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", errors, line_buffering=True)


def run(
    source: str, main: types.ModuleType, report: int, name: str = NAME, *, last: bool = True
) -> int:
    """Executes source text in a module.

    Args:
        source: Python text.
        main: The module whose names the program reads and sets.
        report: Descriptor to which an uncaught exception is reported as a JSON line, beside being
            printed as usual.
        name: The file name that a traceback shows.
        last: Whether the module is of no more use afterwards.

    Returns:
        The exit code: 0, or 1 after an uncaught exception.

    Raises:
        SystemExit: The program's own.
    """
    lines = [line + "\n" for line in source.split("\n")]
    linecache.cache[name] = (len(source), None, lines, name)
    try:
        exec(compile(source, name, "exec", dont_inherit=True), main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        memory = isinstance(error, MemoryError)
        if memory and last:  # room to tell of it
            traceback.clear_frames(error.__traceback__)
            main.__dict__.clear()
        text = describe(error)
        with contextlib.suppress(OSError):  # the program may have closed it
            tell(report, {"exception": text[:_MESSAGE_LENGTH], "memory": memory})
        frames = error.__traceback__
        traceback.print_exception(error.with_traceback(frames.tb_next if frames else None))
        return 1
    return 0


def exit_code(error: SystemExit) -> int:
    """The exit code that an uncaught SystemExit stands for; its message is printed."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def describe(error: BaseException) -> str:
    """Type and message, whatever the exception's own methods do."""
    name = type.__dict__["__name__"].__get__(type(error))  # not what a metaclass says
    try:
        message = str(error)
    except BaseException:
        message = "<exception str() failed>"
    return f"{name}: {message}" if message else name


def finish(main: types.ModuleType, code: int) -> NoReturn:
    """Ends as the interpreter does, without taking apart what the fork server had loaded.

    Threads are waited for, exit functions called, the module's objects destroyed, output flushed.
    """
    try:
        threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
        atexit._run_exitfuncs()
        for name in list(main.__dict__):
            main.__dict__[name] = None
        gc.collect()
        flush()
    except BaseException:
        traceback.print_exc()
        code = code or 120  # as the interpreter's, when it can't flush
    finally:
        os._exit(code)


def flush() -> None:
    """Writes out what was printed, if the program left something to print to."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def tell(descriptor: int, message: dict[str, Any]) -> None:
    """Writes one JSON line."""
    os.write(descriptor, json.dumps(message).encode() + b"\n")
