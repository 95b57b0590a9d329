"""What a run shows and writes down: progress, metrics.jsonl, TensorBoard and W&B."""

import json
import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from jaxformer.data.atomic import whole
from jaxformer.errors import UserError

FILE = "metrics.jsonl"
Track = Callable[[int, Mapping[str, float]], None]
"""Takes a step counted over all stages, and figures by name."""


def cut(path: Path, stage: str, step: int) -> None:
    """Remove the lines of a stage behind the step from which it goes on; at 0, all of them."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text("utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # half a line, from a kill
        if record.get("stage") != stage or record["step"] <= step > 0:
            kept.append(line + "\n")
    with whole(path) as part:
        part.write_text("".join(kept), "utf-8")


class Watch:
    """Shows a stage's progress and writes its figures down, on the process that does so.

    Args:
        run: The run's folder.
        stage: The stage's name.
        start: The step from which it goes on.
        total: Its last step.
        tokens: Tokens a step.
        flops: Floating-point operations a token; see `flops.per_token`.
        peak: Operations a second of all devices together; None if not known.
        trackers: `tensorboard`, `wandb`.
        offset: Steps of the stages before.
        console: Where progress goes; None on the other processes.
        name: Of the run, for W&B.
    """

    def __init__(
        self,
        run: Path,
        *,
        stage: str,
        start: int,
        total: int,
        tokens: int,
        flops: float,
        peak: float | None,
        trackers: Sequence[str] = (),
        offset: int = 0,
        console: Console | None = None,
        name: str = "",
    ) -> None:
        self.stage, self.total, self.tokens = stage, total, tokens
        self.flops, self.peak, self.offset = flops, peak, offset
        self.console = console
        self._stack = ExitStack()
        self._last = start, time.perf_counter()
        self._metrics = None
        self._tracks: list[Track] = []
        if console is None:
            return
        cut(run / FILE, stage, start)
        self._metrics = self._stack.enter_context((run / FILE).open("a", encoding="utf-8"))
        for kind in trackers:
            self._tracks.append(_TRACKERS[kind](run, name, offset + start, self._stack))
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,}/{task.total:,}  {task.fields[status]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._progress.add_task(stage, total=total, completed=start, status="")

    def __enter__(self) -> Self:
        if self.console:
            self._stack.enter_context(self._progress)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def steps(self, step: int, figures: Mapping[str, float]) -> None:
        """Take the figures of the steps since the last call.

        Args:
            step: The last of them, counted from 1.
            figures: `loss` and others.
        """
        before, since = self._last
        now = time.perf_counter()
        speed = (step - before) * self.tokens / max(now - since, 1e-9)
        self._last = step, now
        rates = {"tokens_per_second": round(speed, 1)}
        if self.peak:
            rates["mfu"] = round(speed * self.flops / self.peak, 4)
        self.note(step, {**figures, **rates})
        if self.console is None:
            return
        status = f"loss {figures['loss']:.3f}  {speed:,.0f} tokens/s"
        if "mfu" in rates:
            status += f"  MFU {rates['mfu']:.1%}"
        self._progress.update(self._task, completed=step, status=status)
        if not self.console.is_terminal:
            left = (self.total - step) * self.tokens / speed
            self.console.print(
                f"{self.stage}  {step:,}/{self.total:,}  {status}  {_duration(left)} left",
                highlight=False,
            )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave what is done meanwhile, which is no step, out of the rate."""
        began = time.perf_counter()
        yield
        step, since = self._last
        self._last = step, since + time.perf_counter() - began

    def note(self, step: int, figures: Mapping[str, Any]) -> None:
        """Write figures down."""
        if self._metrics is None:
            return
        numbers = {k: float(v) for k, v in figures.items() if isinstance(v, int | float)}
        broken = {k: None for k, v in numbers.items() if not math.isfinite(v)}  # not in JSON
        record = {"stage": self.stage, "step": step, **figures, **broken}
        print(json.dumps(record), file=self._metrics, flush=True)
        for track in self._tracks:
            track(self.offset + step, {f"{self.stage}/{k}": v for k, v in numbers.items()})


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _tensorboard(run: Path, _name: str, start: int, stack: ExitStack) -> Track:
    try:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # pyright: ignore
        from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise _missing("tensorboard") from error
    writer = EventFileWriter(str(run / "tensorboard"))
    stack.callback(writer.close)
    # What was written behind this step, before the run was resumed, is not shown.
    begun = SessionLog(status=SessionLog.START)
    writer.add_event(Event(wall_time=time.time(), step=start + (start > 0), session_log=begun))

    def track(step: int, figures: Mapping[str, float]) -> None:
        values = [Summary.Value(tag=name, simple_value=v) for name, v in figures.items()]
        event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
        writer.add_event(event)

    return track


def _wandb(run: Path, name: str, _start: int, stack: ExitStack) -> Track:
    try:
        import wandb
    except ImportError as error:
        raise _missing("wandb") from error
    (run / "wandb").mkdir(exist_ok=True)
    # The same id, so that a run that is resumed goes on in the same place.
    written = run / "wandb" / "id"
    if not written.exists():
        written.write_text(secrets.token_hex(4))
    session = wandb.init(
        project="jaxformer", name=name, id=written.read_text(), resume="allow", dir=str(run)
    )
    stack.callback(session.finish)
    # W&B's own steps only rise, also where a run goes on from an earlier one.
    session.define_metric("step")
    session.define_metric("*", step_metric="step")
    return lambda step, figures: session.log({"step": step, **figures})


def _missing(library: str) -> UserError:
    return UserError(f"{library} is not installed; add it with pip install 'jaxformer[track]'.")


_TRACKERS: dict[str, Callable[[Path, str, int, ExitStack], Track]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
}
TRACKERS = tuple(_TRACKERS)
