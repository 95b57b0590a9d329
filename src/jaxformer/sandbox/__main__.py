"""The room on its own: `python -m jaxformer.sandbox`."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from jaxformer.errors import UserError
from jaxformer.sandbox.contracts import DEFAULT_LIMITS, Limits, Result, Tier
from jaxformer.sandbox.pool import obstacle, run
from jaxformer.sandbox.terminal import plain

app = typer.Typer(
    help="Run untrusted Python programs behind walls.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_PROMISES: dict[Tier, str] = {
    "namespaces": "files, network, processes and IPC of its own; system-call filter",
    "landlock": "the host's files behind Landlock; no network; system-call filter",
    "unprotected": "limits of time, memory and output only",
}
_SWITCHES = {
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "1"),
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),
    "/proc/sys/user/max_user_namespaces": ("0", "15000"),
}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs to read.")]


@app.command()
def check(as_json: AsJson = False) -> None:
    """Show what isolation this machine offers, and what would make it stronger.

    The strongest tier there is is used. Where only "unprotected" is left, programs are refused
    unless --unprotected is given. The exit status is then 1.

    Example:

        jaxformer sandbox check
    """
    tiers: tuple[Tier, ...] = ("namespaces", "landlock")
    obstacles = {tier: obstacle(tier) for tier in tiers}
    offered: list[Tier] = [tier for tier in tiers if obstacles[tier] is None]
    used = [*offered, "unprotected"][0]
    advice = [] if used == "namespaces" else _advice()
    if as_json:
        print(json.dumps({"tier": used, "obstacles": obstacles, "advice": advice}))
    else:
        for tier, promise in _PROMISES.items():
            reason = obstacles.get(tier)
            mark = "in use" if tier == used else "missing" if reason else "weaker"
            print(f"{tier:12} {mark:8} {promise}")
            if reason:
                print(f"{'':21} {reason}")
        for line in advice:
            print(f"To make it stronger: {line}")
    if used == "unprotected":
        raise typer.Exit(1)


def _advice() -> list[str]:
    """What an administrator can do for the tier "namespaces"."""
    if sys.platform != "linux":
        return ["use Linux, for instance in a virtual machine or a container."]
    lines = []
    for switch, (closed, open_) in _SWITCHES.items():
        path = Path(switch)
        if path.exists() and path.read_text().strip() == closed:
            name = switch.removeprefix("/proc/sys/").replace("/", ".")
            lines.append(f"sysctl -w {name}={open_} allows user namespaces.")
    if not lines:
        lines.append(
            "use Linux 5.12 or newer, and in a container allow user namespaces"
            " (with Docker: --security-opt seccomp=unconfined, or a profile that admits unshare)."
        )
    return lines


@app.command(name="run")
def run_file(
    file: Annotated[Path, typer.Argument(help="A Python program; - reads standard input.")],
    wall: Annotated[
        float, typer.Option(help="Seconds until it is stopped.")
    ] = DEFAULT_LIMITS.wall_seconds,
    memory: Annotated[
        int, typer.Option(help="Megabytes of memory beyond the interpreter's.")
    ] = DEFAULT_LIMITS.memory_bytes >> 20,
    output: Annotated[
        int, typer.Option(help="Kilobytes that it may print.")
    ] = DEFAULT_LIMITS.output_bytes >> 10,
    unprotected: Annotated[
        bool, typer.Option("--unprotected", help="Run even where there is no sandbox.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run one program in the sandbox and show what it printed and how it ended.

    The exit status is the program's; 124 if it took too long, 1 if it was stopped otherwise.

    Examples:

        jaxformer sandbox run solution.py

        jaxformer sandbox run solution.py --json --wall 2

        echo 'print(6 * 7)' | jaxformer sandbox run -
    """
    limits = Limits(
        wall_seconds=wall,
        cpu_seconds=int(wall) + 1 if 0 < wall < 1e9 else 1,
        memory_bytes=memory << 20,
        output_bytes=output << 10,
    )
    result = run(_read(file), limits, unprotected=unprotected)
    if as_json:
        print(json.dumps(dataclasses.asdict(result)))
    else:
        for stream, text in ((sys.stdout, result.stdout), (sys.stderr, result.stderr)):
            stream.write(plain(text) if stream.isatty() else text)
        if result.status != "ok":
            print(f"[{_ending(result, limits)}]", file=sys.stderr)
    raise typer.Exit(_exit_status(result))


def _read(file: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not valid UTF-8; save the file as UTF-8.") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from error


def _ending(result: Result, limits: Limits) -> str:
    reasons = {
        "exit": f"exit code {result.exit_code}",
        "exception": "uncaught exception",
        "memory": f"more than {limits.memory_bytes >> 20} MB of memory",
        "timeout": f"more than {limits.wall_seconds:g} seconds",
        "output": f"more than {limits.output_bytes >> 10} KB of output",
        "killed": f"killed by signal {-(result.exit_code or 0)}",
    }
    return f"{reasons[result.status]}; {result.seconds:.2f} s, tier {result.tier}"


def _exit_status(result: Result) -> int:
    if result.status == "timeout":
        return 124
    return result.exit_code if result.exit_code is not None and result.exit_code >= 0 else 1


if __name__ == "__main__":
    try:
        app()
    except UserError as error:
        print(f"jaxformer.sandbox: {error}", file=sys.stderr)
        sys.exit(2)
