"""A model ready for use: weights, shape and tokenizer under one name."""

import contextlib
import ctypes
import logging
from dataclasses import dataclass, field
from pathlib import Path

import jax
from jax.sharding import Mesh

from jaxformer.checkpoints.hub import EMBEDDED, find
from jaxformer.checkpoints.huggingface import BITS, DTYPES, read_config, read_params
from jaxformer.checkpoints.layout import PROBE, USUAL_MP_NUM, find_mp_num
from jaxformer.errors import UserError
from jaxformer.model import CodeGenConfig, Params, native
from jaxformer.model.sharding import make_mesh
from jaxformer.tokenizer import Tokenizer
from jaxformer.tokenizer import load as load_tokenizer

log = logging.getLogger("jaxformer")


@dataclass(frozen=True, eq=False)
class Model:
    """Everything that generation needs."""

    name: str
    config: CodeGenConfig
    params: Params = field(repr=False)
    tokenizer: Tokenizer = field(repr=False)
    dtype: str
    notes: tuple[str, ...] = ()
    """What was put right on loading."""
    draft: "Model | None" = None
    """A smaller model that writes ahead of this one; the tokens are this one's."""


def load(
    name: str,
    *,
    dtype: str = "float32",
    mp_num: int | None = None,
    packed: bool | None = None,
    devices: int = 1,
    draft: str | None = None,
) -> Model:
    """Load a model.

    On a CPU the embedding stays in its file: replace the file if it must change while the model is
    in use, but don't write over it.

    Args:
        name: `nano`, a Hugging Face CodeGen folder, or a hub name.
        dtype: `float32`, `bfloat16` or `float16`: of weights and computation; or `int8` or `int4`:
            of the weights' matrices, see `model.quantisation`.
        mp_num: Layout of the fused projection in the files; found out by trying if not given.
        packed: Whether `params` is for the native kernels alone; if not given, where they can be
            used.
        devices: How many devices share the weights, each with some of the heads.
        draft: The name of a smaller model of the same family, loaded in the same dtype on the
            default device: it writes ahead, this one checks. What is written is the same, but for
            rounding on plain XLA.

    Raises:
        UserError: If the model or its draft is missing, damaged or no CodeGen model, if their
            tokenizers differ, or if so many devices cannot share the model.
    """
    known = (*DTYPES, *BITS)
    if dtype not in known:
        raise UserError(f"The dtype {dtype!r} is not known; choose one of {', '.join(known)}.")
    if packed and devices > 1:
        raise UserError("The native kernels run on one device; load with packed=False.")
    if packed and not (dtype in native.FORMATS and native.usable()):
        raise UserError(f"There are no native kernels for {dtype} here; load it without them.")
    folder = find(str(name))
    config = read_config(folder)
    tokenizer = load_tokenizer(folder)
    notes = []
    if tokenizer.vocab_size > config.vocab_size:
        raise UserError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} entries, the model only "
            f"{config.vocab_size}; they do not belong together."
        )
    end = tokenizer.eos_token_id
    wrong = [f"{n} {i}" for n in ("bos", "eos") if (i := getattr(config, f"{n}_token_id")) != end]
    if wrong:
        notes.append(f"config.json says {' and '.join(wrong)}; the tokenizer's {end} is used.")
        config = config.model_copy(update={"bos_token_id": end, "eos_token_id": end})

    mesh = _mesh(devices, config) if devices != 1 else None
    smaller = load(draft, dtype=dtype) if draft else None
    if smaller and smaller.tokenizer.vocabulary != tokenizer.vocabulary:
        raise UserError(
            f"{draft} cannot write ahead for {name}: their tokenizers differ; take a smaller "
            "model of the same family."
        )
    assumed = mp_num or (USUAL_MP_NUM if config.n_head % USUAL_MP_NUM == 0 else 1)
    _keep_no_freed_memory()
    if packed is None:
        packed = mesh is None and dtype in native.FORMATS and native.usable()
    params = read_params(folder, config, dtype, assumed, packed=packed, mesh=mesh)
    if mp_num is None and name not in EMBEDDED:
        found = find_mp_num(params, config, tokenizer.encode(PROBE), assumed)
        if found != assumed:
            notes.append(f"The fused projection is laid out in {found} parts, not {assumed}.")
        _keep_no_freed_memory()
    for note in notes:
        log.warning("%s: %s", name, note)
    return Model(Path(name).name, config, params, tokenizer, dtype, tuple(notes), smaller)


def _mesh(devices: int, config: CodeGenConfig) -> Mesh:
    """Return a mesh of some devices that share every matrix.

    Raises:
        UserError: If there are not so many, or they cannot share the heads evenly.
    """
    known = jax.devices()
    if not 1 <= devices <= len(known):
        raise UserError(f"devices must be from 1 to the {len(known)} that are here, not {devices}.")
    if config.n_head % devices:
        raise UserError(f"{devices} devices cannot share {config.n_head} heads evenly.")
    return make_mesh((1, 1, devices), known[:devices])


def _keep_no_freed_memory() -> None:
    """Let large blocks go back to the system when freed, and all that was freed so far.

    Left alone, glibc keeps more and more of what loading frees: a tenth of the weights' size. And
    each of the threads that compile would keep a heap of its own.
    """
    large = 1 << 20
    mmap_threshold, arena_max = -3, -8  # M_… of malloc.h
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(mmap_threshold, large)
        libc.mallopt(arena_max, 1)
        libc.malloc_trim(0)
