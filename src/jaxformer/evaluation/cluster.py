"""Runners on the machines of a Ray cluster: the same samples, from more machines at one time."""

import os
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from jaxformer.data.tasks import ray_cluster
from jaxformer.errors import UserError
from jaxformer.evaluation.exam import Key
from jaxformer.evaluation.runner import Runner
from jaxformer.evaluation.samples import Judging

PIECE = 256
"""Programs that a machine is given at one time."""


class _Machine:
    """A runner on one machine of the cluster."""

    def __init__(self, make: Callable[[], Runner]) -> None:
        self._make = cache(
            make
        )  # at the first call, for an actor that cannot be made tells nothing

    def judged(self, keys: Sequence[Key]) -> Judging:
        yield from self._make().judged(keys)


def judged_on_ray(make: Callable[[], Runner], keys: Sequence[Key]) -> Judging:
    """Yield samples as they are judged on the cluster of `RAY_ADDRESS`, or on a local one.

    There is a runner for each machine, which takes all of its cores and accelerators. The sandbox
    and the model are each machine's own.

    Args:
        make: Makes a runner; called on each machine.
        keys: What is to be written.

    Raises:
        UserError: If Ray is not installed, or what a runner raises.
    """
    pieces = deque(keys[start : start + PIECE] for start in range(0, len(keys), PIECE))
    with ray_cluster(os.cpu_count() or 1) as ray:
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        machines = [_on(ray, node).remote(make) for node in nodes[: max(1, len(pieces))]]
        running: dict[Any, Any] = {}
        try:
            while pieces or running:
                for machine in machines:
                    if pieces and machine not in running.values():
                        running[machine.judged.remote(pieces.popleft())] = machine
                [stream], _ = ray.wait(list(running), num_returns=1)
                try:
                    yield ray.get(next(stream))
                except StopIteration:
                    del running[stream]
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from error
                except ray.exceptions.RayActorError as error:
                    raise UserError(
                        "A machine of the cluster was lost; what is finished is kept, the same "
                        "command goes on."
                    ) from error
        finally:
            for machine in machines:
                ray.kill(machine)


def _on(ray: Any, node: dict[str, Any]) -> Any:
    """Return the class of machines, for all of a node."""
    place = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        node["NodeID"], soft=False
    )
    resources = node["Resources"]
    return ray.remote(_Machine).options(
        num_cpus=resources["CPU"], num_gpus=resources.get("GPU", 0), scheduling_strategy=place
    )
