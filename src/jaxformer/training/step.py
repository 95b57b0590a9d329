"""One training step: gradients of a batch in parts, clipped, and the optimizer's update."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxformer.data.rows import Rows
from jaxformer.model import CodeGenConfig, Params, hidden
from jaxformer.model.attention import RowAttention
from jaxformer.model.forward import Multiply
from jaxformer.training.loss import Losses, losses, tile_of
from jaxformer.training.optimizer import CLIP

SETTLE = 100
"""Steps before a loss can count as a spike."""
MEMORY = 0.95
"""How much of the running mean of losses stays at each step."""


class State(NamedTuple):
    """All that a stage carries from step to step."""

    params: Params
    """What is trained: all weights, or the additions of LoRA."""
    optimizer: Any
    step: jax.Array
    """Batches done, int32."""
    mean: jax.Array
    """Of the losses of late, float32."""
    spread: jax.Array
    """Mean distance of these from it, float32."""


class Report(NamedTuple):
    """What a step says of itself, float32 each."""

    loss: jax.Array
    """Cross-entropy in nats a weighted token."""
    norm: jax.Array
    """Global norm of the gradients before they were clipped."""
    bad: jax.Array
    """1 if the batch was left out, its loss or gradients being no numbers or a spike."""


@dataclass(frozen=True)
class Computation:
    """How gradients are computed; none of it changes them but for rounding."""

    attend: RowAttention
    multiply: Multiply
    dtype: Any
    """Of activations."""
    shards: int = 1
    """Devices that share out the rows of a batch."""
    tile: int = 1024
    """Tokens of a device whose logits exist at one time."""
    accumulate: int = 1
    """Parts of a batch whose gradients are summed one after the other."""
    remat: Callable[..., Any] | None = None
    """What is computed again in the backward pass; see `model.hidden`."""


def new_state(params: Params, optimizer: optax.GradientTransformation) -> State:
    """Return the state before the first step."""
    mean, spread = (jnp.zeros((), jnp.float32) for _ in range(2))  # two, as both are donated
    return State(params, optimizer.init(params), jnp.zeros((), jnp.int32), mean, spread)


Step = Callable[[State, Any, Rows[Any], int], tuple[State, Report]]
"""Takes state, frozen weights (or None), a batch and its number."""
Whole = Callable[[Any, Params], Params]
"""From frozen weights (or None) and what is trained to the parameters of a forward pass."""


def states_of(
    params: Params, config: CodeGenConfig, how: Computation, rows: Rows[Any]
) -> jax.Array:
    """Run the model over a batch; return hidden states `[rows, context, n_embd]`."""
    states, _ = hidden(
        params,
        config,
        rows.tokens,
        rows.positions,
        segments=rows.segments,
        attend=how.attend,
        multiply=how.multiply,
        remat=how.remat,
        dtype=how.dtype,
    )
    return states


def tile_for(how: Computation, rows: Rows[Any]) -> int:
    """Return how many tokens of each row the loss takes at a time."""
    count, context = rows.tokens.shape
    return tile_of(context, count // how.shards, how.tile)


def make_gradients(
    config: CodeGenConfig, how: Computation, z_loss: float, whole: Whole
) -> Callable[[Params, Any, Rows[Any]], tuple[Params, jax.Array]]:
    """Return the function from parameters, frozen weights and a batch to gradients and loss."""

    def part_loss(
        params: Params, frozen: Any, rows: Rows[Any], share: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        complete = whole(frozen, params)
        states = states_of(complete, config, how, rows)
        head = {name: complete[name] for name in ("lm_head", "lm_head_bias")}
        sums = losses(head, states, rows, z_loss, how.multiply, tile_for(how, rows))
        assert isinstance(sums, Losses)
        return sums.total * share, sums.cross_entropy * share

    def gradients(params: Params, frozen: Any, rows: Rows[Any]) -> tuple[Params, jax.Array]:
        share = 1 / jnp.maximum(rows.weights.sum(), 1.0)
        gradient = jax.grad(part_loss, has_aux=True)
        if how.accumulate == 1:
            return gradient(params, frozen, rows, share)

        def cut(x: jax.Array) -> jax.Array:
            """`[rows, …]` to `[parts, rows / parts, …]`, each device keeping its own rows."""
            return x.reshape(-1, how.accumulate, *x.shape[1:]).swapaxes(0, 1)

        def add(
            sums: tuple[Params, jax.Array], part: Rows[Any]
        ) -> tuple[tuple[Params, jax.Array], None]:
            return jax.tree.map(jnp.add, sums, gradient(params, frozen, part, share)), None

        start = jax.tree.map(jnp.zeros_like, params), jnp.zeros((), jnp.float32)
        return jax.lax.scan(add, start, jax.tree.map(cut, rows))[0]

    return gradients


def make_step(
    config: CodeGenConfig,
    optimizer: optax.GradientTransformation,
    how: Computation,
    *,
    z_loss: float = 1e-4,
    skip: bool = False,
    whole: Whole = lambda _, params: params,
) -> Step:
    """Return the compiled step.

    A batch is bad whose loss or gradient norm is no number, or whose loss stands out: by more
    than a nat and six times the spread of losses of late. It changes no weights. Without `skip`
    nor do the batches behind it: the state waits for the one whose number is its step.

    Args:
        config: The model's shape.
        optimizer: Without clipping.
        how: How gradients are computed.
        z_loss: See `loss.losses`.
        skip: Whether training goes on behind a bad batch.
        whole: How the parameters of the forward pass are made.
    """
    gradients = make_gradients(config, how, z_loss, whole)

    @partial(jax.jit, donate_argnums=0)
    def step(state: State, frozen: Any, rows: Rows[Any], number: int) -> tuple[State, Report]:
        found, loss = gradients(state.params, frozen, rows)
        norm = optax.tree.norm(found)
        spike = (state.step >= SETTLE) & (loss > state.mean + jnp.maximum(1.0, 6 * state.spread))
        good = jnp.isfinite(loss) & jnp.isfinite(norm) & ~spike & (number == state.step)
        scale = jnp.minimum(1.0, CLIP / jnp.maximum(norm, 1e-30))
        clipped = jax.tree.map(lambda g: g * scale, found)
        updates, moments = optimizer.update(clipped, state.optimizer, state.params)

        keep = jnp.where(state.step == 0, 0.0, MEMORY)
        distance = jnp.where(state.step == 0, 0.0, jnp.abs(loss - state.mean))
        after = State(
            optax.apply_updates(state.params, updates),  # pyright: ignore
            moments,
            state.step + 1,
            keep * state.mean + (1 - keep) * loss,
            MEMORY * state.spread + (1 - MEMORY) * distance,
        )
        kept = state._replace(step=state.step + skip)
        if skip:  # what counts steps goes on, so that the learning rate keeps to its schedule
            kept = kept._replace(
                optimizer=jax.tree.map(
                    lambda old, new: new if jnp.issubdtype(old.dtype, jnp.integer) else old,
                    state.optimizer,
                    moments,
                )
            )
        new = jax.tree.map(lambda a, b: jnp.where(good, a, b), after, kept)
        return new, Report(loss, norm, 1.0 - good.astype(jnp.float32))

    return step
