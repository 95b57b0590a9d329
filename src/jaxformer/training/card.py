"""The model card of a finished stage: what was trained, on what, how, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import jax

from jaxformer.model import CodeGenConfig, count
from jaxformer.tokenizer import Tokenizer
from jaxformer.training.plan import Plan
from jaxformer.training.recipe import Recipe, Stage
from jaxformer.training.sizes import Pace, derive
from jaxformer.training.sources import Opened

FILE = "README.md"


@dataclass(frozen=True)
class Finished:
    """What there is to say of a stage."""

    recipe: Recipe
    config: CodeGenConfig
    tokenizer: Tokenizer
    stage: Stage
    pace: Pace
    sources: Sequence[Opened]
    plan: Plan
    held_out: Mapping[str, float]
    """Nats a token, by source and language."""


def write_card(done: Finished) -> str:
    """Return the card in Markdown, with the header that the hub reads."""
    recipe = done.recipe
    header = ["---", "library_name: jaxformer", "pipeline_tag: text-generation"]
    header += ["tags: [code, codegen]"]
    if recipe.start and "/" in recipe.start and not Path(recipe.start).expanduser().exists():
        header.append(f"base_model: {recipe.start}")
    name = f"codegen-{recipe.name}-{done.stage.name}"
    parts = [
        "\n".join([*header, "---"]),
        f"# {name}",
        _about(done),
        "## Training",
        _stages(done),
        _settings(done),
        "## Data of the last stage",
        _table(
            ("source", "weight", "tokens"),
            [
                (opened.name, f"{source.weight:g}", f"{opened.tokens:,}")
                for opened, source in zip(done.sources, done.stage.data, strict=True)
            ],
        ),
    ]
    if done.held_out:
        parts += [
            "## Held-out loss",
            f"On {recipe.held_out} rows of {recipe.context} tokens of each source, which training "
            "never read; nats a token.",
            _table(("text", "loss"), [(n, f"{x:.4f}") for n, x in done.held_out.items()]),
        ]
    parts += [
        "## Limits",
        "It writes what is likely after its training text, not what is right or safe; read its "
        "code before you run it, and run it in a sandbox. It may repeat text that it was trained "
        f"on. It was trained on rows of {recipe.context} tokens; longer texts are strange to it.",
        "## Made with",
        f"Jaxformer {version('jaxformer')}, JAX {jax.__version__}, on {jax.device_count()} × "
        f"{jax.devices()[0].device_kind} (mesh {'x'.join(map(str, done.plan.mesh))}, "
        f"{done.plan.accumulate} {'part' if done.plan.accumulate == 1 else 'parts'} a batch); "
        "`recipe.json` is the recipe.",
    ]
    return "\n\n".join(parts) + "\n"


def _about(done: Finished) -> str:
    recipe, config = done.recipe, done.config
    start = f" It goes on from {recipe.start}." if recipe.start else ""
    if recipe.lora:
        lora = recipe.lora
        start += (
            f" What was trained is LoRA of rank {lora.rank} (alpha {lora.alpha:g}) on "
            f"{', '.join(lora.matrices)}"
            + (", merged into the weights." if lora.merge else ", kept as adapters for PEFT.")
        )
    return (
        f"A CodeGen model with {count(config):,} parameters: {config.n_layer} layers, width "
        f"{config.n_embd}, {config.n_head} heads, a vocabulary of {config.vocab_size:,}, a context "
        f"of {config.n_positions:,} tokens.{start}"
    )


def _stages(done: Finished) -> str:
    recipe, config = done.recipe, done.config
    last = [stage.name for stage in recipe.stages].index(done.stage.name)
    lines = []
    for stage in recipe.stages[: last + 1]:
        pace = derive(recipe, stage, config)
        tokens = pace.steps * pace.batch * recipe.context
        data = ", ".join(source.name for source in stage.data)
        lines.append(
            (
                stage.name,
                data,
                f"{pace.steps:,}",
                f"{tokens / 1e6:,.1f} M",
                f"{pace.batch} × {recipe.context}",
                f"{pace.learning_rate:.3g}",
            )
        )
    return _table(("stage", "data", "steps", "tokens", "batch", "peak learning rate"), lines)


def _settings(done: Finished) -> str:
    recipe = done.recipe
    return (
        f"{'AdamW' if recipe.optimizer == 'adamw' else 'Muon'}, weight decay "
        f"{recipe.weight_decay:g} on matrices, {recipe.schedule} schedule, gradients clipped at "
        f"norm 1, z-loss {recipe.z_loss:g}, {recipe.precision} products, float32 weights and "
        f"sums, seed {recipe.seed}; documents of a row are "
        f"{'hidden from' if recipe.mask_documents else 'visible to'} each other."
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
