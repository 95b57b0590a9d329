"""The optimizer: AdamW as CodeGen was trained with, or Muon for the blocks' matrices."""

from typing import Literal

import jax
import optax
import optax.contrib

from jaxformer.model import CodeGenConfig, Spec, table
from jaxformer.model.parameters import is_spec


def schedule(peak: float, steps: int, warmup: int, floor: float = 0.1) -> optax.Schedule:
    """Linear warm-up to `peak`, then cosine to `floor · peak` at the last step."""
    return optax.warmup_cosine_decay_schedule(0.0, peak, warmup, steps, floor * peak)


def build(
    config: CodeGenConfig,
    name: Literal["adamw", "muon"],
    learning_rate: optax.Schedule,
    weight_decay: float,
) -> optax.GradientTransformation:
    """Return the optimizer behind a clip of the global gradient norm at 1.0.

    Weight decay applies to matrices only. Muon turns the blocks' matrices; the embedding, the
    head and every vector stay with Adam.
    """
    specs = table(config)
    decays = jax.tree.map(lambda spec: spec.is_matrix, specs, is_leaf=is_spec)
    if name == "adamw":
        rule = optax.adamw(learning_rate, weight_decay=weight_decay, mask=decays)
    else:

        def dimensions(spec: Spec) -> optax.contrib.MuonDimensionNumbers | None:
            hidden = spec.is_matrix and "vocab" not in spec.axes
            return optax.contrib.MuonDimensionNumbers() if hidden else None

        turned = jax.tree.map(dimensions, specs, is_leaf=is_spec)
        rule = optax.contrib.muon(
            learning_rate,
            weight_decay=weight_decay,
            weight_decay_mask=decays,
            muon_weight_dimension_numbers=turned,
            adam_weight_decay=weight_decay,
            consistent_rms=0.2,  # so that one learning rate serves both (Liu et al., 2025)
        )
    return optax.chain(optax.clip_by_global_norm(1.0), rule)
