"""The training loop: one device, stage after stage, resumable with the same command."""

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from jaxformer.checkpoints import save_pretrained
from jaxformer.data.corpus import python_sources
from jaxformer.data.documents import Document, conversation
from jaxformer.data.exercises import conversations
from jaxformer.data.loader import Loader
from jaxformer.data.prepare import prepare
from jaxformer.data.rows import Rows
from jaxformer.errors import UserError
from jaxformer.model import CodeGenConfig, Params, init
from jaxformer.tokenizer import Tokenizer
from jaxformer.tokenizer import load as load_tokenizer
from jaxformer.tokenizer import train as train_tokenizer
from jaxformer.training.loss import loss
from jaxformer.training.optimizer import build, schedule
from jaxformer.training.recipe import Recipe, Stage

SAVE_EVERY = 200
REPORT_EVERY = 20


class State(NamedTuple):
    """All that a stage carries from step to step."""

    params: Params
    optimizer: Any
    step: jax.Array


def train(recipe: Recipe, out: Path, console: Console) -> Path:
    """Run or resume every stage of a recipe.

    Args:
        recipe: What to train.
        out: The run's folder. A finished stage leaves a Hugging Face folder in it.
        console: Where progress goes.

    Returns:
        The folder of the last stage's model.
    """
    out.mkdir(parents=True, exist_ok=True)
    _fix_recipe(recipe, out)
    tokenizer = _tokenizer(recipe, out, console)
    params = init(recipe.model, jax.random.key(recipe.seed))
    finished = out
    for stage in recipe.stages:
        finished = out / f"codegen-{recipe.name}-{stage.name}"
        params = _run_stage(recipe, stage, params, out, console)
        save_pretrained(finished, recipe.model, params, tokenizer, dtype="bfloat16")
    return finished


def _fix_recipe(recipe: Recipe, out: Path) -> None:
    """Write the recipe down with the run, and refuse to resume a run of another one."""
    written, text = out / "recipe.json", recipe.model_dump_json(indent=1)
    if written.exists() and written.read_text() != text:
        raise UserError(f"{out} holds a run of another recipe; choose another --out or remove it.")
    written.write_text(text)


def _documents(stage: Stage) -> Iterator[Document]:
    if stage.data == "python":
        yield from python_sources(stage.amount, stage.first_seed)
    else:
        for number, exercise in enumerate(conversations(stage.first_seed, int(stage.amount))):
            yield conversation(tuple(exercise.turns), f"exercise {number}")


def _tokenizer(recipe: Recipe, out: Path, console: Console) -> Tokenizer:
    folder = out / "tokenizer"
    if not (folder / "tokenizer_config.json").exists():
        console.print("Learning the vocabulary …")
        first_of_kind = {stage.data: stage for stage in reversed(recipe.stages)}
        samples = (
            document.text
            for stage in reversed(first_of_kind.values())
            for _, document in zip(range(20_000), _documents(stage), strict=False)
        )
        train_tokenizer(samples, recipe.model.vocab_size).save(folder)
    return load_tokenizer(folder)


def make_step(
    config: CodeGenConfig, optimizer: optax.GradientTransformation
) -> Callable[[State, Rows[Any]], tuple[State, jax.Array]]:
    """Return the compiled training step: state and batch to state and cross-entropy."""

    @partial(jax.jit, donate_argnums=0)
    def step(state: State, rows: Rows[Any]) -> tuple[State, jax.Array]:
        gradients, cross_entropy = jax.grad(loss, has_aux=True)(state.params, config, rows)
        updates, moments = optimizer.update(gradients, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(params, moments, state.step + 1), cross_entropy  # pyright: ignore

    return step


def _run_stage(
    recipe: Recipe,
    stage: Stage,
    params: Params,
    out: Path,
    console: Console,
) -> Params:
    console.print(f"Preparing the data of stage {stage.name} …")
    tokens = prepare(
        _documents(stage), out / "tokenizer", recipe.context, out / "data" / stage.name
    )
    loader = Loader(
        [(tokens, 1.0)],
        stage.batch,
        recipe.context,
        recipe.seed,
        prompt_weight=stage.prompt_weight,
    )
    rate = schedule(stage.learning_rate, stage.steps, stage.warmup)
    optimizer = build(recipe.model, recipe.optimizer, rate, recipe.weight_decay)
    state = State(params, optimizer.init(params), jnp.zeros((), jnp.int32))
    step = make_step(recipe.model, optimizer)
    last = stage.stop_after or stage.steps
    options = ocp.CheckpointManagerOptions(max_to_keep=1, save_interval_steps=SAVE_EVERY)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}  {task.fields[status]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with (
        ocp.CheckpointManager((out / "state" / stage.name).absolute(), options=options) as manager,
        Progress(*columns, console=console) as progress,
        (out / "metrics.jsonl").open("a") as metrics,
    ):
        if (latest := manager.latest_step()) is not None:
            state = manager.restore(latest, args=ocp.args.StandardRestore(state))
        start = int(state.step)
        task = progress.add_task(stage.name, total=last, completed=start, status="")
        since, losses = time.perf_counter(), []
        batches = loader.iterate(start)
        for index in range(start, last):
            state, cross_entropy = step(state, next(batches))
            losses.append(cross_entropy)
            if (index + 1) % REPORT_EVERY == 0 or index + 1 == last:
                mean = float(np.mean([float(value) for value in losses]))
                if not np.isfinite(mean):
                    raise UserError(f"The loss of stage {stage.name} is {mean} at step {index}.")
                speed = len(losses) * recipe.context * stage.batch
                speed /= time.perf_counter() - since
                status = f"loss {mean:.3f}  {speed:,.0f} tokens/s"
                progress.update(task, completed=index + 1, status=status)
                record = {"stage": stage.name, "step": index + 1, "loss": mean, "speed": speed}
                print(json.dumps(record), file=metrics, flush=True)
                since, losses = time.perf_counter(), []
            manager.save(index + 1, args=ocp.args.StandardSave(state))
        if manager.latest_step() != last:
            manager.save(last, args=ocp.args.StandardSave(state), force=True)
    return state.params
