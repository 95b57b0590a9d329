"""The training loop: one stage, from its first step or its last checkpoint to its end."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxformer.checkpoints.store import Store
from jaxformer.data.loader import Loader
from jaxformer.errors import UserError
from jaxformer.training.devices import place
from jaxformer.training.optimizer import schedule
from jaxformer.training.options import Options
from jaxformer.training.recipe import Recipe, Stage
from jaxformer.training.signals import Asked
from jaxformer.training.sizes import Pace
from jaxformer.training.sources import Opened
from jaxformer.training.step import Report, State, Step
from jaxformer.training.watch import Watch

AHEAD = 2
"""Steps that the devices may be behind this process, so that they never wait for it."""
PROFILED = 10
"""The step from which a profile is taken, if there are enough: compilation is over by then."""


class BadBatch(UserError):
    """A batch whose loss is no number or a spike."""


Look = Callable[[State, int], Mapping[str, Any]]
"""Takes state and step, and returns figures: the held-out loss and the like."""


@dataclass(frozen=True)
class Course:
    """What a stage runs on."""

    recipe: Recipe
    stage: Stage
    pace: Pace
    sources: Sequence[Opened]
    loader: Loader
    mesh: Mesh
    step: Step
    frozen: Any
    look: Look
    run: Path
    offset: int
    """Steps of the stages before."""


def run_stage(
    course: Course, state: State, store: Store, watch: Watch, asked: Asked, options: Options
) -> State:
    """Train until the stage's last step.

    Args:
        course: What it runs on.
        state: Where it stands.
        store: Where checkpoints go.
        watch: Where figures go.
        asked: Whether to end early.
        options: How the run is run.

    Returns:
        The state after the last step, which is saved.

    Raises:
        UserError: A batch was bad, or a checkpoint could not be saved.
        Ended: The run was asked to end; all is saved.
    """
    total, start = course.pace.steps, int(state.step)
    every = options.evaluate_every or -(-total // 10)
    rates = schedule(course.pace, course.recipe.schedule)
    pending: deque[tuple[int, Report]] = deque()
    shown: list[tuple[int, Report]] = []

    def settle(left: int) -> None:
        """Look at the reports of all steps but the last few; this waits for the devices."""
        while len(pending) > left:
            number, report = pending.popleft()
            if float(report.bad):
                _complain(course, number, report, options.skip_bad, watch)
            shown.append((number, report))
            if (number + 1) % options.report_every == 0 or number + 1 == total:
                watch.steps(number + 1, _figures(shown, np.asarray(rates(number)).item()))
                shown.clear()

    def look(done: int) -> None:
        with watch.paused():
            figures = course.look(state, done)
        if figures:
            watch.note(done, figures)

    try:
        if start == 0:
            look(0)
        for number, rows in _batches(course, start, total):
            with jax.set_mesh(course.mesh):
                state, report = course.step(state, course.frozen, rows, number)
            pending.append((number, report))
            settle(AHEAD)
            _profile(course.run, number - start, total - start, options.profile)
            done = number + 1
            if done % options.save_every == 0 or done == total:
                settle(0)
                store.save(done, state)
            if done % every == 0 or done == total:
                settle(0)
                look(done)
            if asked.at(course.offset + done):
                settle(0)
                _save_last(store, state)
                raise asked.end(f"Saved at step {done:,} of stage {course.stage.name}")
    except Exception:
        # The steps before it are not to blame. If they cannot be saved (say, the device is lost),
        # the last checkpoint stands, and the first error is the one to tell.
        with contextlib.suppress(Exception):
            _save_last(store, state)
        raise
    finally:
        if options.profile:
            _end_profile()
    store.wait()
    return state


def _save_last(store: Store, state: State) -> None:
    if store.latest != int(state.step):
        store.save(int(state.step), state)
    store.wait()


def _batches(course: Course, start: int, total: int) -> Iterator[tuple[int, Any]]:
    batches = course.loader.iterate(start)
    for number in range(start, total):
        yield number, place(next(batches), course.mesh)


def _figures(shown: Sequence[tuple[int, Report]], rate: float) -> dict[str, float]:
    good = [report for _, report in shown if not float(report.bad)] or [shown[-1][1]]
    return {
        "loss": float(np.mean([float(report.loss) for report in good])),
        "gradient_norm": float(np.mean([float(report.norm) for report in good])),
        "learning_rate": rate,
    }


def _complain(course: Course, number: int, report: Report, skip: bool, watch: Watch) -> None:
    """Name a bad batch; raise unless it may be skipped."""
    rows: dict[str, list[int]] = {}
    for source, row in course.loader.places(number):
        rows.setdefault(course.sources[source].name, []).append(row)
    batch = "; ".join(f"{name} rows {', '.join(map(str, sorted(r)))}" for name, r in rows.items())
    loss, norm = float(report.loss), float(report.norm)
    watch.note(number + 1, {"bad": 1, "loss": repr(loss), "rows": rows})
    if not skip:
        raise BadBatch(
            f"The batch of step {number + 1} of stage {course.stage.name} has the loss {loss:.4g} "
            f"and the gradient norm {norm:.4g} ({batch}), so training stopped before it; go on "
            "with --skip-bad to leave such batches out, or lower the learning rate."
        )


def _profile(run: Path, done: int, total: int, steps: int) -> None:
    if not steps:
        return
    first = min(PROFILED, max(0, total - steps - 1))
    if done == first:
        jax.profiler.start_trace(str(run / "profile"))
    if done == first + steps:
        _end_profile()


def _end_profile() -> None:
    try:
        jax.profiler.stop_trace()
    except RuntimeError:
        return  # it had ended, or not begun
