"""How much memory a model needs, from its parameter table alone; and how much there is."""

import contextlib
import os
from pathlib import Path

from jaxformer.model.config import CodeGenConfig
from jaxformer.model.parameters import count, named_specs
from jaxformer.model.quantisation import GROUP

TRAINING_BYTES = 16
"""A parameter in training: float32 master weight, gradient and the two moments of Adam."""


def cache_bytes(config: CodeGenConfig, itemsize: int) -> int:
    """Bytes of the keys and values of one sequence that fills the context."""
    return 2 * config.n_layer * config.n_positions * config.n_embd * itemsize


def inference_bytes(config: CodeGenConfig, itemsize: int) -> int:
    """Bytes of the weights and one full cache, `itemsize` bytes a value."""
    return count(config) * itemsize + cache_bytes(config, itemsize)


def quantised_bytes(config: CodeGenConfig, bits: int) -> int:
    """Bytes of weights with matrices in 8 or 4 bits, and one full cache in bfloat16."""
    total = 0
    for name, spec in named_specs(config):
        if name == "embedding" or not spec.is_matrix:
            total += 2 * spec.size
        else:
            scales = 4 * spec.shape[1] if bits == 8 else 2 * spec.size // GROUP
            total += spec.size * bits // 8 + scales
    return total + cache_bytes(config, 2)


def training_bytes(config: CodeGenConfig) -> int:
    """Bytes of the training state; activations come on top and depend on the batch."""
    return count(config) * TRAINING_BYTES


def host_memory(groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes that this process may use: the machine's, or what its container has.

    Args:
        groups: Where Linux shows its control groups, of the second version.
    """
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with contextlib.suppress(OSError, ValueError):  # another system, or the first version
        own = Path("/proc/self/cgroup").read_text("utf-8").strip().rpartition("::")[2]
        folder = groups / own.lstrip("/")
        for place in (folder, *folder.parents):
            file = place / "memory.max"
            if place.is_relative_to(groups) and file.exists():
                limit = file.read_text("utf-8").strip()
                limits += [int(limit)] if limit != "max" else []
    return min(limits)
