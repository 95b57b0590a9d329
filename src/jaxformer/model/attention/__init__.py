"""Attention kernels; each is tested against the reference for every mask that it accepts.

Decoding attends under a mask to the keys of a cache (`plain`); training and scoring attend within
packed rows, for which there are kernels for each kind of processor. `choose` names the one to use,
`over_mesh` lets every device of a mesh attend within its own rows and heads.
"""

from jaxformer.model.attention.choose import NAMES, choose, over_mesh, pick
from jaxformer.model.attention.cudnn import cudnn
from jaxformer.model.attention.plain import reference, reference_rows, xla, xla_rows
from jaxformer.model.attention.protocols import Attention, RowAttention
from jaxformer.model.attention.splash import splash
from jaxformer.model.attention.tiled import tiled

__all__ = [
    "NAMES",
    "Attention",
    "RowAttention",
    "choose",
    "cudnn",
    "over_mesh",
    "pick",
    "reference",
    "reference_rows",
    "splash",
    "tiled",
    "xla",
    "xla_rows",
]
