"""The optimizer: AdamW as CodeGen was trained with, or Muon for the blocks' matrices."""

from typing import Any, Literal

import jax
import optax
import optax.contrib

from jaxformer.model import Params, Spec
from jaxformer.model.parameters import is_spec
from jaxformer.training.sizes import Pace

CLIP = 1.0
"""Gradients are scaled down to this global norm."""
FLOOR = 0.1
"""Of the peak: the learning rate at the end."""
DECAY = 0.2
"""Of all steps: how long `wsd` decays."""


def schedule(pace: Pace, kind: Literal["cosine", "wsd"] = "cosine") -> optax.Schedule:
    """Return the learning rate of every step.

    It rises linearly to its peak; then `cosine` (Brown et al., 2020) lets it fall to a tenth, and
    `wsd` (warm-up, stable, decay: Hu et al., 2024) keeps it and lets it fall in the last fifth.
    """
    low = FLOOR * pace.learning_rate
    if kind == "cosine":
        return optax.warmup_cosine_decay_schedule(
            0.0, pace.learning_rate, pace.warmup, max(pace.anneal, pace.warmup + 1), low
        )
    falling = max(pace.warmup, pace.anneal - max(1, round(DECAY * pace.anneal)))
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0, pace.learning_rate, pace.warmup),
            optax.constant_schedule(pace.learning_rate),
            optax.linear_schedule(pace.learning_rate, low, pace.anneal - falling),
        ],
        [pace.warmup, falling],
    )


def build(
    specs: Params,
    name: Literal["adamw", "muon"],
    learning_rate: optax.Schedule,
    weight_decay: float,
) -> optax.GradientTransformation:
    """Return the optimizer for parameters of such a table.

    Weight decay applies to matrices only. Muon turns the blocks' matrices; the embedding, the
    head and every vector stay with Adam. Gradients are to be clipped before.
    """
    if name == "adamw":
        decays = jax.tree.map(lambda spec: spec.is_matrix, specs, is_leaf=is_spec)
        return optax.adamw(learning_rate, weight_decay=weight_decay, mask=decays)

    def kind(spec: Spec) -> str:
        if not spec.is_matrix:
            return "vector"
        return "ends" if "vocab" in spec.axes else "matrix"

    def dimensions(params: Any) -> Any:
        """The last two are a matrix; what stands before is the axis of layers."""
        return jax.tree.map(
            lambda x: optax.contrib.MuonDimensionNumbers(x.ndim - 2, x.ndim - 1), params
        )

    muon = optax.contrib.muon(
        learning_rate,
        weight_decay=weight_decay,
        muon_weight_dimension_numbers=dimensions,
        consistent_rms=0.2,  # so that one learning rate serves all (Liu et al., 2025)
    )
    return optax.partition(
        {
            "matrix": muon,
            "ends": optax.adamw(learning_rate, weight_decay=weight_decay),
            "vector": optax.adamw(learning_rate, weight_decay=0.0),
        },
        jax.tree.map(kind, specs, is_leaf=is_spec),
    )
