"""How much memory a model needs, from its parameter table alone."""

from jaxformer.model.config import CodeGenConfig
from jaxformer.model.parameters import count

TRAINING_BYTES = 16
"""A parameter in training: float32 master weight, gradient and the two moments of Adam."""


def cache_bytes(config: CodeGenConfig, itemsize: int) -> int:
    """Bytes of the keys and values of one sequence that fills the context."""
    return 2 * config.n_layer * config.n_positions * config.n_embd * itemsize


def inference_bytes(config: CodeGenConfig, itemsize: int) -> int:
    """Bytes of the weights and one full cache, `itemsize` bytes a value."""
    return count(config) * itemsize + cache_bytes(config, itemsize)


def training_bytes(config: CodeGenConfig) -> int:
    """Bytes of the training state; activations come on top and depend on the batch."""
    return count(config) * TRAINING_BYTES
