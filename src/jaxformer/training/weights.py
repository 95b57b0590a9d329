"""The weights that a stage begins with, goes on with and leaves, on the run's devices."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxformer.checkpoints import load as load_model
from jaxformer.checkpoints.store import Store
from jaxformer.model import CodeGenConfig, Params, init
from jaxformer.model.parameters import Spec, is_spec, stack, stack_specs, table, unstack
from jaxformer.model.sharding import shardings
from jaxformer.training import lora as loras
from jaxformer.training.plan import trained_specs
from jaxformer.training.recipe import Recipe
from jaxformer.training.step import State, Whole, new_state

Optimizers = Callable[[bool], optax.GradientTransformation]
"""From whether blocks are stacked to the optimizer, without clipping."""


def specs_of(recipe: Recipe, config: CodeGenConfig, stacked: bool) -> Params:
    """Return the table of what a recipe trains, blocks stacked or not."""
    specs = trained_specs(recipe, config)
    return stack_specs(specs) if stacked else specs


def whole_of(recipe: Recipe) -> Whole:
    """Return how frozen and trained weights make up the model's; see `step.Whole`."""
    return loras.attach if recipe.lora else _trained


def _trained(_frozen: Any, trained: Params) -> Params:
    return trained


def first_weights(recipe: Recipe, config: CodeGenConfig, mesh: Mesh, stacked: bool) -> Params:
    """Return the weights before the first stage, float32: fresh ones, or those of `from`."""
    if recipe.start:
        return _put(load_base(recipe), config, mesh, stacked)
    specs = table(config)
    places = shardings(stack_specs(specs) if stacked else specs, mesh)

    def draw(key: jax.Array) -> Params:
        drawn = init(config, key)
        return stack(drawn) if stacked else drawn

    return jax.jit(draw, out_shardings=places)(jax.random.key(recipe.seed))


def load_base(recipe: Recipe) -> Params:
    """Return the weights of the model under `from`, float32 and in this machine's own memory."""
    with on_host():
        return jax.tree.map(np.asarray, load_model(str(recipe.start), packed=False).params)


def on_host() -> contextlib.AbstractContextManager[object]:
    """Compute where there is most room, whatever the run's devices are."""
    return jax.default_device(jax.local_devices(backend="cpu")[0])


def freeze(
    recipe: Recipe, config: CodeGenConfig, base: Params, mesh: Mesh, stacked: bool
) -> Params:
    """Put weights that LoRA adds to on the devices, in the precision of their products.

    Only the matrices that enter products are rounded, as products would do it; so the frozen model
    is the one that training all weights would start from.
    """
    dtype = jnp.bfloat16 if recipe.precision == "bfloat16" else jnp.float32

    def narrow(spec: Spec, x: np.ndarray) -> np.ndarray:
        return x.astype(dtype) if spec.is_matrix and spec.axes[0] != "vocab" else x

    narrowed = jax.tree.map(narrow, table(config), base, is_leaf=is_spec)
    return _put(narrowed, config, mesh, stacked)


def _put(params: Params, config: CodeGenConfig, mesh: Mesh, stacked: bool) -> Params:
    """Put weights of this machine's memory on the devices, each its own part only."""
    specs = table(config)
    if stacked:
        with on_host():
            params, specs = jax.tree.map(np.asarray, stack(params)), stack_specs(specs)

    def put(x: np.ndarray, place: NamedSharding) -> jax.Array:
        return jax.make_array_from_callback(x.shape, place, lambda part: x[part])

    return jax.tree.map(put, params, shardings(specs, mesh))


def begin(
    recipe: Recipe,
    config: CodeGenConfig,
    before: Params | None,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    stacked: bool,
) -> State:
    """Return a stage's state before its first step.

    Args:
        recipe: The recipe.
        config: The model's shape.
        before: The weights that the stage starts from; their memory is used. With LoRA, whose
            additions start anew, they are not needed.
        optimizer: Without clipping.
        mesh: Of the devices.
        stacked: Whether blocks are stacked.
    """
    places = _state_shardings(recipe, config, optimizer, mesh, stacked)
    start = partial(new_state, optimizer=optimizer)
    if before is not None:
        return jax.jit(start, out_shardings=places, donate_argnums=0)(before)

    def draw(key: jax.Array) -> State:
        assert recipe.lora
        drawn = loras.init(config, recipe.lora, key)
        return start(stack(drawn) if stacked else drawn)

    return jax.jit(draw, out_shardings=places)(jax.random.key(recipe.seed + 1))


def restore(
    store: Store,
    recipe: Recipe,
    config: CodeGenConfig,
    optimizer: Optimizers,
    mesh: Mesh,
    stacked: bool,
) -> State:
    """Return the newest state of a store, laid out on this mesh, blocks stacked or not."""
    saved = not isinstance(store.shapes()["params"]["blocks"], list)
    shapes = _state_shapes(recipe, config, optimizer(saved), saved)
    places = _state_shardings(recipe, config, optimizer(saved), mesh, saved)
    like = jax.tree.map(
        lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), shapes, places
    )
    state = store.restore(like)
    if saved == stacked:
        return state

    def arrange(tree: Any) -> Any:
        if not _has_blocks(tree):
            return tree
        return stack(tree) if stacked else unstack(tree, config.n_layer)

    def arrange_all(state: State) -> State:
        return jax.tree.map(arrange, state, is_leaf=_has_blocks)

    places = _state_shardings(recipe, config, optimizer(stacked), mesh, stacked)
    return jax.jit(arrange_all, out_shardings=places)(state)


def _has_blocks(tree: Any) -> bool:
    """Tell whether this is a tree like the parameters, among the optimizer's state."""
    return isinstance(tree, dict) and "blocks" in tree


def _state_shapes(
    recipe: Recipe, config: CodeGenConfig, optimizer: optax.GradientTransformation, stacked: bool
) -> State:
    specs = specs_of(recipe, config, stacked)
    params = jax.tree.map(
        lambda spec: jax.ShapeDtypeStruct(spec.shape, jnp.float32), specs, is_leaf=is_spec
    )
    return jax.eval_shape(partial(new_state, optimizer=optimizer), params)


def _state_shardings(
    recipe: Recipe,
    config: CodeGenConfig,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    stacked: bool,
) -> State:
    """The optimizer's arrays lie where their parameters do."""
    places = shardings(specs_of(recipe, config, stacked), mesh)
    everywhere = NamedSharding(mesh, PartitionSpec())
    by_path = dict(jax.tree.leaves_with_path(places))

    def place(path: tuple[Any, ...], _: Any) -> NamedSharding:
        ends = (path[start:] for start in range(len(path)))
        return next((by_path[end] for end in ends if end in by_path), everywhere)

    shapes = _state_shapes(recipe, config, optimizer, stacked)
    moments = jax.tree.map_with_path(place, shapes.optimizer)
    return State(places, moments, everywhere, everywhere, everywhere)  # pyright: ignore
