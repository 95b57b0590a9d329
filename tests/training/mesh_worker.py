"""Runs of one recipe on several meshes, in a process of its own: `mesh_worker.py TASK ARGUMENTS…`.

The devices are this machine's CPU, eightfold or fourfold; JAX wants to know before it starts.
"""

import os
import sys
from pathlib import Path


def main() -> None:
    task, devices, recipe, out, *rest = sys.argv[1:]
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    if task == "train":
        train(Path(recipe), Path(out), rest)
    elif task == "host":
        join(Path(recipe), Path(out), rest)
    else:
        compare(Path(recipe), Path(out), rest)


def train(recipe: Path, out: Path, meshes: list[str]) -> None:
    """Train on one mesh after the other; `2x2x2-scan` repeats one compiled layer."""
    from rich.console import Console

    from jaxformer.training import Options, read_recipe
    from jaxformer.training import train as run

    for mesh in meshes:
        shape, _, layers = mesh.partition("-")
        options = Options(shape, 2, layers="scan" if layers else "unroll", report_every=1)
        run(read_recipe(recipe), out / mesh, Console(stderr=True), options)


def join(recipe: Path, out: Path, rest: list[str]) -> None:
    """Train as one of several processes."""
    hosts, mesh = rest
    from jaxformer.training.devices import join_hosts

    join_hosts(hosts)
    train(recipe, out, [mesh])


def compare(recipe: Path, out: Path, meshes: list[str]) -> None:
    """Restore the checkpoint of the first mesh on every other, and compare every bit."""
    import jax
    import numpy as np

    from jaxformer.checkpoints.store import Store
    from jaxformer.model.sharding import make_mesh
    from jaxformer.tokenizer import load
    from jaxformer.training import read_recipe, weights
    from jaxformer.training.devices import fetch
    from jaxformer.training.optimizer import build, schedule
    from jaxformer.training.sizes import derive, model_config

    checked = read_recipe(recipe)
    run = out / meshes[0]
    config = model_config(checked, load(run / "tokenizer"))
    [stage] = checked.stages
    specs = weights.specs_of(checked, config, False)
    rule = build(specs, "adamw", schedule(derive(checked, stage, config)), 0.1)
    restored = []
    for mesh in meshes:
        shape = [int(part) for part in mesh.split("x")]
        with Store(run / "state" / stage.name) as store:
            on = make_mesh(shape, jax.devices()[: np.prod(shape)])
            state = weights.restore(store, checked, config, lambda _: rule, on, False)
        places = {leaf.sharding.mesh.devices.shape for leaf in jax.tree.leaves(state)}
        assert places == {tuple(shape)}
        split = state.params["blocks"][0]["fc_in"].addressable_shards[0].data.shape
        assert split == (config.n_embd // shape[1], config.inner_dim // shape[2])
        moment = state.optimizer[0].mu["blocks"][0]["fc_in"]
        assert moment.addressable_shards[0].data.shape == split
        restored.append(jax.tree.leaves(fetch(state)))
    for other in restored[1:]:
        for a, b in zip(restored[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    print(len(restored[0]), "arrays equal on", len(meshes), "meshes")


if __name__ == "__main__":
    main()
