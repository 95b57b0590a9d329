"""Devices and hosts: joining them, and which rows of a batch are whose."""

import math
import os
import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding

from jaxformer.data.rows import Rows
from jaxformer.errors import UserError
from jaxformer.model import CodeGenConfig
from jaxformer.model.memory import host_memory
from jaxformer.model.sharding import AXES, partition


def join_hosts(hosts: str | None) -> None:
    """Make the processes of a run one, before any device is used.

    Args:
        hosts: `auto` where Slurm, Kubernetes, Open MPI or a TPU pod says who takes part;
            `ADDRESS:PORT,COUNT,NUMBER` (the first process's address, how many there are and which
            this is) otherwise; None for one process.

    Raises:
        UserError: If the others cannot be found or reached.
    """
    if hosts is None:
        return
    try:
        if hosts == "auto":
            jax.distributed.initialize()
            return
        address, count, number = hosts.split(",")
        jax.distributed.initialize(address, int(count), int(number))
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(
            f"The hosts {hosts} could not be joined ({reason}); "
            "write auto or ADDRESS:PORT,COUNT,NUMBER, the same address and count everywhere."
        ) from error


def parse_mesh(text: str, devices: int) -> tuple[int, int, int]:
    """Read a mesh such as `2x4x1`: data, fsdp and tensor.

    Raises:
        UserError: If it is no mesh, or not of so many devices.
    """
    try:
        data, fsdp, tensor = (int(part) for part in text.lower().split("x"))
    except ValueError as error:
        raise UserError(
            f"{text!r} is no mesh; write three numbers, {' x '.join(AXES)}, such as 1x8x1."
        ) from error
    if min(data, fsdp, tensor) < 1 or data * fsdp * tensor != devices:
        raise UserError(
            f"The mesh {text} has {data * fsdp * tensor} places, but there are {devices} devices; "
            "choose numbers whose product that is."
        )
    return data, fsdp, tensor


def check_mesh(mesh: Sequence[int], config: CodeGenConfig) -> None:
    """Refuse a mesh that cannot split a model.

    Raises:
        UserError: If heads or MLP cannot be shared evenly.
    """
    tensor = mesh[2]
    if config.n_head % tensor or config.inner_dim % tensor:
        raise UserError(
            f"The model's {config.n_head} heads and MLP of width {config.inner_dim} cannot be "
            f"split {tensor} ways; choose a last number of the mesh that divides both."
        )


def rows_of_host(mesh: Mesh, batch: int) -> tuple[int, int]:
    """Return which share of every batch this process reads, and of how many shares.

    Processes whose devices hold the same rows (a model split over hosts) read the same share.
    """
    sharding = NamedSharding(mesh, partition(["batch"]))
    slices = [index[0] for index in sharding.addressable_devices_indices_map((batch,)).values()]  # pyright: ignore
    first = min(part.start or 0 for part in slices)
    last = max(batch if part.stop is None else part.stop for part in slices)
    count = last - first
    shares = {(part.start or 0, part.stop) for part in slices}
    held = sum((batch if stop is None else stop) - start for start, stop in shares)
    if held != count or first % count:
        raise UserError(
            "This process's devices do not hold neighbouring rows of a batch; choose a mesh whose "
            "last number divides the devices of a host, or is a multiple of them."
        )
    return first // count, batch // count


def place(rows: Rows[np.ndarray], mesh: Mesh) -> Rows[jax.Array]:
    """Put this process's rows of a batch on its devices, as part of the whole batch."""
    sharding = NamedSharding(mesh, partition(["batch"]))
    return Rows(*(jax.make_array_from_process_local_data(sharding, x) for x in rows))


def fetch(tree: Any) -> Any:
    """Return a tree of arrays as NumPy's, whole on every process."""

    def one(x: jax.Array) -> np.ndarray:
        if x.is_fully_addressable:
            return np.asarray(x)
        return np.asarray(multihost_utils.process_allgather(x, tiled=True))

    return jax.tree.map(one, tree)


def is_first() -> bool:
    """Tell whether this process is the one that writes and shows."""
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Wait until every process is here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


_PEAKS = {
    "H100": 989e12,
    "H100 NVL": 835e12,
    "H100 PCIe": 756e12,
    "H200": 989e12,
    "H800": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "TPU v3": 61.5e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5p": 459e12,
    "TPU v5": 459e12,
    "TPU v6": 918e12,
}
"""bfloat16 products without sparsity a second, as the makers publish them; a v3 core has half of
its chip's."""

_MEMORIES = {
    "H200": 141e9,
    "H100": 80e9,
    "H800": 80e9,
    "B200": 180e9,
    "A100": 80e9,
    "L40S": 48e9,
    "L4": 24e9,
    "TPU v3": 16e9,
    "TPU v4": 32e9,
    "TPU v5 lite": 16e9,
    "TPU v5e": 16e9,
    "TPU v5p": 95e9,
    "TPU v5": 95e9,
    "TPU v6": 32e9,
}
"""Bytes."""


def capability_of(kind: str) -> float | None:
    """Return the compute capability of a kind of NVIDIA GPU, as far as kernels differ by it."""
    if _look_up(_MEMORIES, kind) is None or kind.lower().startswith("tpu"):
        return None
    hopper = re.search(r"\bh[128]00\b", kind.lower())
    return 9.0 if hopper else 8.0


def _look_up(table: dict[str, float], kind: str) -> float | None:
    """Return what a table says of the most exact name whose words are all in `kind`."""
    words = set(re.split(r"[\s-]+", kind.lower()))
    fitting = [name for name in table if words.issuperset(name.lower().split())]
    return table[max(fitting, key=len)] if fitting else None


def peak_flops(device: jax.Device) -> float | None:  # pyright: ignore
    """Return the bfloat16 operations a second that a device is sold for; None if not known."""
    return _look_up(_PEAKS, device.device_kind)


def memory_of(device: jax.Device) -> float:  # pyright: ignore
    """Return the bytes that one device has; forced devices of a CPU share its memory."""
    if device.platform == "cpu":
        return host_memory() / jax.local_device_count()
    limit = (device.memory_stats() or {}).get("bytes_limit")
    if limit and device.platform == "gpu":  # of which JAX takes a share
        return limit / float(os.environ.get("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.75"))
    return limit or _look_up(_MEMORIES, device.device_kind) or math.inf


def parse_devices(text: str) -> tuple[int, str, float]:
    """Read devices such as `8xH200`: how many, of which kind, with how many bytes each.

    Raises:
        UserError: If that is no number of known devices; `8x80GB` names the memory instead.
    """
    count, x, kind = text.partition("x")
    gigabytes = kind.upper().removesuffix("GB")
    known = _look_up(_MEMORIES, kind) if kind else None
    if kind.upper().endswith("GB") and gigabytes.isdecimal():
        known = float(gigabytes) * 1e9
    if not x or not count.isdecimal() or int(count) < 1 or known is None:
        raise UserError(
            f"{text!r} names no devices; write a number and a kind, such as 8xH200, of "
            f"{', '.join(_MEMORIES)}, or the memory of each, such as 4x24GB."
        )
    return int(count), kind, known
