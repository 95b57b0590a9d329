"""A run: every stage of a recipe, from where it stands to a model folder."""

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from rich.console import Console

from jaxformer.checkpoints import Model
from jaxformer.checkpoints.store import Store
from jaxformer.data.atomic import alone, room, save_json
from jaxformer.data.infilling import Infilling
from jaxformer.data.loader import Loader
from jaxformer.errors import UserError
from jaxformer.evaluation import pass_rate
from jaxformer.model import CodeGenConfig, Params, flops
from jaxformer.model.parameters import unstack
from jaxformer.model.sharding import make_mesh
from jaxformer.strict import check
from jaxformer.tokenizer import Tokenizer
from jaxformer.tokenizer import load as load_tokenizer
from jaxformer.training import devices, weights
from jaxformer.training import lora as loras
from jaxformer.training.card import FILE as CARD
from jaxformer.training.card import Finished
from jaxformer.training.computation import computation, is_stacked
from jaxformer.training.export import export
from jaxformer.training.heap import keep_heap, release_heap
from jaxformer.training.held_out import Evaluate, make_held_out
from jaxformer.training.loop import Course, run_stage
from jaxformer.training.optimizer import build, schedule
from jaxformer.training.options import Options
from jaxformer.training.plan import Plan, plan_stages
from jaxformer.training.recipe import Recipe
from jaxformer.training.samples import FILE as SAMPLES
from jaxformer.training.samples import write_samples
from jaxformer.training.signals import Asked, listening
from jaxformer.training.sizes import Pace, derive, model_config
from jaxformer.training.sources import Opened, find_tokenizer, open_sources
from jaxformer.training.step import State, make_step
from jaxformer.training.watch import Watch, cut


@dataclass(frozen=True)
class Run:
    """What all stages of a run have in common."""

    recipe: Recipe
    options: Options
    out: Path
    console: Console
    """On the first process; quiet on the others."""
    tokenizer: Tokenizer
    config: CodeGenConfig
    plans: list[Plan]
    stacked: bool

    def finished(self, number: int) -> Path:
        """Return where the model of a stage goes."""
        return self.out / f"codegen-{self.recipe.name}-{self.recipe.stages[number].name}"

    def is_finished(self, number: int) -> bool:
        """Tell whether a stage's model is there, whole: its card is written last."""
        return (self.finished(number) / CARD).exists()

    def store(self, number: int) -> Store:
        """Open the checkpoints of a stage."""
        return Store(self.out / "state" / self.recipe.stages[number].name, self.options.keep)

    def pace(self, number: int) -> Pace:
        """Return how long and how fast a stage trains."""
        return derive(self.recipe, self.recipe.stages[number], self.config)


def train(
    recipe: Recipe,
    out: Path,
    console: Console,
    options: Options = Options(),  # noqa: B008  it is frozen
    only: str | None = None,
) -> Path:
    """Run or resume the stages of a recipe.

    Args:
        recipe: What to train.
        out: The run's folder.
        console: Where progress goes.
        options: How the run is run.
        only: One stage, which goes on from the one before it in this run.

    Returns:
        The folder of the last stage's model.

    Raises:
        UserError: If recipe, data, devices or disk will not do.
        Ended: If the run was asked to end; all is saved.
    """
    names = [stage.name for stage in recipe.stages]
    if only is not None and only not in names:
        raise UserError(f"The recipe has no stage {only}; it has {', '.join(names)}.")
    out.mkdir(parents=True, exist_ok=True)
    keep_heap()  # now, for what follows starts JAX and its threads
    first = devices.is_first()
    with alone(out, "run") if first else contextlib.nullcontext(), room(out):
        return _train(recipe, out, console, options, names, only)


def _train(
    recipe: Recipe,
    out: Path,
    console: Console,
    options: Options,
    names: list[str],
    only: str | None,
) -> Path:
    run = _open(recipe, out, console if devices.is_first() else Console(quiet=True), options)
    last = names.index(only) if only else len(names) - 1
    first = next((n for n in range(last + 1) if not run.is_finished(n)), None)
    if first is None:
        run.console.print(f"{run.finished(last)} is finished already.", style="dim")
        return run.finished(last)
    if only and first < last:
        raise UserError(
            f"Stage {only} goes on from {names[last - 1]}, and {names[first]} is not finished; "
            "train without --stage first."
        )
    with listening() as asked, _precision(recipe):
        for number in range(first, last + 1):
            _run_stage(run, number, asked)
    return run.finished(last)


def _precision(recipe: Recipe) -> contextlib.AbstractContextManager[object]:
    """Let float32 mean float32: GPUs and TPUs multiply it in fewer bits unless told otherwise."""
    if recipe.precision == "float32":
        return jax.default_matmul_precision("highest")
    return contextlib.nullcontext()


def _open(recipe: Recipe, out: Path, console: Console, options: Options) -> Run:
    _fix_recipe(recipe, out)
    folder = out / "tokenizer"
    if not (folder / "tokenizer_config.json").exists() and devices.is_first():
        find_tokenizer(recipe).save(folder)
    devices.wait_for_all("tokenizer")
    tokenizer = load_tokenizer(folder)
    config = model_config(recipe, tokenizer)
    device = jax.local_devices()[0]
    plans = plan_stages(
        recipe,
        config,
        devices=jax.device_count(),
        memory=devices.memory_of(device),
        platform=device.platform,
        mesh=options.mesh,
        accumulate=options.accumulate,
        kernel=options.kernel,
    )
    if device.platform != "cpu":
        release_heap()
    stacked = is_stacked(options.layers, device.platform)
    return Run(recipe, options, out, console, tokenizer, config, plans, stacked)


def _fix_recipe(recipe: Recipe, out: Path) -> None:
    """Write the recipe down with the run, and refuse to resume a run of another one.

    Stages may be added at the end: what was trained stays what the recipe would train.
    """
    written, now = out / "recipe.json", _plain(recipe)
    before = json.loads(written.read_text("utf-8")) if written.exists() else now
    begun = any((out / name).exists() for name in ("data", "state"))
    if before != now and begun:
        before = _plain(check(before, Recipe, written))  # with what keys mean that came later
    same = {**now, "stages": now["stages"][: len(before["stages"])]}
    if before != same and begun:
        keys = ", ".join(key for key in same | before if before.get(key) != same.get(key))
        raise UserError(
            f"{out} holds a run of another recipe, in which {keys} differs; "
            "choose another --out or remove it."
        )
    devices.wait_for_all("recipe")
    if devices.is_first():
        if before != now and not begun:  # the other came to nothing, say for want of data
            shutil.rmtree(out / "tokenizer", ignore_errors=True)
        save_json(written, now)


def _plain(recipe: Recipe) -> dict[str, Any]:
    return json.loads(recipe.model_dump_json(by_alias=True))


def _open_sources(run: Run, number: int) -> list[Opened]:
    """Open what a stage reads; the first process makes what must be made first."""
    stage, tokenizer = run.recipe.stages[number], run.out / "tokenizer"
    if not devices.is_first():
        devices.wait_for_all(f"data {stage.name}")
    sources = open_sources(run.recipe, stage, tokenizer, run.out, run.console)
    if devices.is_first():
        devices.wait_for_all(f"data {stage.name}")
    return sources


def _loader(run: Run, number: int, sources: list[Opened], mesh: Mesh) -> Loader:
    recipe, stage, batch = run.recipe, run.recipe.stages[number], run.pace(number).batch
    host, hosts = devices.rows_of_host(mesh, batch)
    shares = [source.weight for source in stage.data]
    return Loader(
        list(zip([source.train for source in sources], shares, strict=True)),
        batch,
        recipe.context,
        recipe.seed,
        host,
        hosts,
        recipe.mask_documents,
        stage.prompt_weight,
        Infilling(run.tokenizer, stage.infilling) if stage.infilling else None,
    )


def _weights_before(run: Run, number: int, mesh: Mesh) -> Params:
    """Return the weights that a stage starts from: those that the last one left."""
    if number == 0:
        return weights.first_weights(run.recipe, run.config, mesh, run.stacked)
    return _left(run, number - 1, mesh)


def _left(run: Run, number: int, mesh: Mesh) -> Params:
    """Return what a finished stage trained."""
    with run.store(number) as store:
        rules = _optimizers(run, number)
        return weights.restore(store, run.recipe, run.config, rules, mesh, run.stacked).params


def _base(run: Run, number: int, mesh: Mesh) -> Params:
    """Return the weights that LoRA adds to in a stage, float32 and in this machine's memory."""
    assert run.recipe.lora
    base = weights.load_base(run.recipe)
    for earlier in range(number):
        adapters = devices.fetch(unstack(_left(run, earlier, mesh), run.config.n_layer))
        with weights.on_host():
            base = jax.tree.map(np.asarray, loras.merge(base, adapters, run.recipe.lora))
    return base


def _optimizers(run: Run, number: int) -> weights.Optimizers:
    """Return the function from whether blocks are stacked to a stage's optimizer."""
    recipe = run.recipe
    rates = schedule(run.pace(number), recipe.schedule)

    def optimizer(stacked: bool) -> optax.GradientTransformation:
        specs = weights.specs_of(recipe, run.config, stacked)
        return build(specs, recipe.optimizer, rates, recipe.weight_decay)

    return optimizer


def _run_stage(run: Run, number: int, asked: Asked) -> None:
    """Run one stage, and leave its model."""
    recipe, stage, plan, pace = (
        run.recipe,
        run.recipe.stages[number],
        run.plans[number],
        run.pace(number),
    )
    mesh = make_mesh(plan.mesh)
    how = computation(recipe, plan, run.config, mesh, run.options.kernel)
    sources = _open_sources(run, number)
    if asked.number is not None:
        raise asked.end(f"Ended before stage {stage.name}")
    loader = _loader(run, number, sources, mesh)
    rule, whole = _optimizers(run, number)(run.stacked), weights.whole_of(recipe)
    with run.store(number) as store:
        state, frozen = _begin(run, number, store, mesh)
        step = make_step(
            run.config, rule, how, z_loss=recipe.z_loss, skip=run.options.skip_bad, whole=whole
        )
        measure = make_held_out(
            sources,
            run.config,
            how,
            mesh,
            recipe.context,
            pace.batch // plan.accumulate,
            recipe.mask_documents,
            whole,
        )

        def look(state: State, done: int) -> Mapping[str, Any]:
            return _look(run, stage.name, state, frozen, measure, done)

        _describe(run, stage.name, plan, pace, int(state.step))
        if devices.is_first():
            cut(run.out / SAMPLES, stage.name, int(state.step))
        offset = sum(run.pace(n).steps for n in range(number))
        peak = devices.peak_flops(jax.devices()[0])
        with Watch(
            run.out,
            stage=stage.name,
            start=int(state.step),
            total=pace.steps,
            tokens=pace.batch * recipe.context,
            flops=flops.per_token(run.config, recipe.context, frozen=bool(recipe.lora)),
            peak=peak and peak * mesh.size,
            trackers=run.options.trackers,
            offset=offset,
            console=run.console if devices.is_first() else None,
            name=recipe.name,
        ) as watch:
            course = Course(
                recipe, stage, pace, sources, loader, mesh, step, frozen, look, run.out, offset
            )
            state = run_stage(course, state, store, watch, asked, run.options)
        held_out = measure(state.params, frozen) if measure else {}
    export(
        Finished(recipe, run.config, run.tokenizer, stage, pace, sources, plan, held_out),
        run.finished(number),
        _base(run, number, mesh) if recipe.lora and recipe.lora.merge else None,
        state.params,
    )


def _begin(run: Run, number: int, store: Store, mesh: Mesh) -> tuple[State, Any]:
    """Return where a stage stands, and the frozen weights (None without LoRA)."""
    recipe, config, stacked = run.recipe, run.config, run.stacked
    rules, frozen = _optimizers(run, number), None
    if recipe.lora:
        frozen = weights.freeze(recipe, config, _base(run, number, mesh), mesh, stacked)
    if store.latest is not None:
        return weights.restore(store, recipe, config, rules, mesh, stacked), frozen
    before = None if recipe.lora else _weights_before(run, number, mesh)
    return weights.begin(recipe, config, before, rules(stacked), mesh, stacked), frozen


def _describe(run: Run, stage: str, plan: Plan, pace: Pace, start: int) -> None:
    """Say what is going to happen."""
    tokens = pace.steps * pace.batch * run.recipe.context
    data, fsdp, tensor = plan.mesh
    parts = "part" if plan.accumulate == 1 else "parts"
    run.console.print(
        f"Stage {stage}: {pace.steps:,} steps of {pace.batch} rows of {run.recipe.context} tokens "
        f"({tokens / 1e6:,.1f} M); mesh {data}x{fsdp}x{tensor}, {plan.accumulate} {parts} a batch, "
        f"about {plan.bytes / 1e9:.2g} GB a device"
        + (f"; goes on from step {start:,}" if start else ""),
        highlight=False,
    )


def _look(
    run: Run, stage: str, state: State, frozen: Any, measure: Evaluate | None, done: int
) -> Mapping[str, Any]:
    """Measure the held-out loss, and let the model write; return the figures."""
    figures: dict[str, Any] = {}
    if measure:
        losses = measure(state.params, frozen)
        figures |= {f"held_out/{name}": loss for name, loss in losses.items()}
    if run.options.samples or run.options.programs:
        model = _model(run, state, frozen)
        if not devices.is_first():
            return figures
        if run.options.samples:
            write_samples(model, run.options.samples, run.out, stage, done)
        if run.options.programs:
            figures["pass_rate"] = pass_rate(model, run.options.programs)
    if figures:
        line = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        run.console.print(f"{stage} after {done:,} steps: {line}", highlight=False, markup=False)
    return figures


def _model(run: Run, state: State, frozen: Any) -> Model:
    """Return the model as it is now, on one device."""
    lora = run.recipe.lora
    params = loras.merge(frozen, state.params, lora) if lora else state.params
    whole = devices.fetch(unstack(params, run.config.n_layer))
    local = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), whole)
    return Model(run.recipe.name, run.config, local, run.tokenizer, "float32")
