"""Inference on CPUs by kernels of our own, where XLA leaves most of the machine unused.

The kernels are C++ (`csrc/`), called through JAX's foreign function interface, and chosen when they
are loaded by what the processor can do. Without them everything works on plain XLA.
"""

from jaxformer.model.native.drawing import draw
from jaxformer.model.native.forward import cache_dtype, hidden, logits
from jaxformer.model.native.library import instruction_set, usable
from jaxformer.model.native.packing import (
    FORMATS,
    Packed,
    is_packed,
    pack,
    pack_block,
    pack_params,
    pack_rest,
    reordered,
)
from jaxformer.model.native.rows import rows

__all__ = [
    "FORMATS",
    "Packed",
    "cache_dtype",
    "draw",
    "hidden",
    "instruction_set",
    "is_packed",
    "logits",
    "pack",
    "pack_block",
    "pack_params",
    "pack_rest",
    "reordered",
    "rows",
    "usable",
]
