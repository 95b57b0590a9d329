"""The kernels on an ARM processor, emulated: against those of this one.

It needs a cross compiler and QEMU (on Debian: `apt install g++-aarch64-linux-gnu qemu-user`).
"""

import shutil
import subprocess
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from test_native import ROWS, SLOTS, inputs, packed_shape, run, shape

from jaxformer.model import native
from jaxformer.model.forward import rotary_tables
from jaxformer.model.inference import empty_cache

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
SOURCES = Path(native.__file__).with_name("csrc")
if not (shutil.which(COMPILER) and shutil.which(EMULATOR)):
    pytest.skip("There is no ARM to emulate.", allow_module_level=True)


@pytest.fixture(scope="module", params=["armv8.2-a+dotprod", "armv8-a"])
def program(request, tmp_path_factory) -> tuple[str, Path]:
    """The kernels' name, and a program that runs them, for processors with dot products or not."""
    out = tmp_path_factory.mktemp("arm") / "arm_main"
    flags = ["-std=c++20", "-O3", "-ffp-contract=off", "-w", "-static", "-pthread"]
    sources = [SOURCES / "base.cc", SOURCES / "team.cc", Path(__file__).with_name("arm_main.cc")]
    command = [COMPILER, *flags, f"-march={request.param}", f"-I{SOURCES}", *sources, "-o", out]
    subprocess.run(command, check=True)
    return ("NEON" if "dotprod" in request.param else "portable"), out


def emulated(program: tuple[str, Path], kind: str, numbers, epsilon, *arrays) -> bytes:
    """Return what the program writes."""
    name, path = program
    file = path.with_name("input")
    head = [np.array(numbers, np.int32), np.array([epsilon], np.float32)]
    with file.open("wb") as out:
        for array in (*head, *map(np.ascontiguousarray, arrays)):
            out.write(np.uint64(array.nbytes).tobytes() + array.tobytes())
    done = subprocess.run([EMULATOR, path, kind, file], capture_output=True, check=True)
    assert done.stderr.decode() == name
    return done.stdout


def logits(program, packed, config, tokens, positions) -> np.ndarray:
    """Return what `native.logits` makes of `native.hidden`, computed by the program."""
    form = native.FORMATS.index(packed["lm_head"].format)
    cache = empty_cache(packed, config, ROWS, SLOTS)
    x = np.asarray(packed["embedding"][jnp.asarray(tokens)])
    shape = (form, *tokens.shape, config.n_embd, config.inner_dim, config.n_head)
    shape = (*shape, config.head_dim, SLOTS, config.rotary_dim // 2)
    epsilon, tables = (
        config.layer_norm_epsilon,
        rotary_tables(config.n_positions, config.rotary_dim),
    )
    for block, past in zip(packed["blocks"], cache, strict=True):
        matrices = [block[name] for name in ("in", "out", "fc_out")]
        flat = [array for matrix in matrices for array in (matrix.panels, matrix.scales)]
        norm, biases = block["ln"], (block["fc_in_bias"], block["fc_out_bias"])
        arrays = (x, positions, *tables, norm["scale"], norm["bias"], *flat, *biases)
        found = emulated(program, "block", shape, epsilon, *arrays, past["k"], past["v"])
        x = np.frombuffer(found, np.float32, x.size).reshape(x.shape)
    norm, head, bias = packed["ln_f"], packed["lm_head"], packed["lm_head_bias"]
    arrays = (x, norm["scale"], norm["bias"], head.panels, head.scales, bias)
    shape = (form, tokens.size, config.n_embd, len(bias))
    found = emulated(program, "head", shape, epsilon, *arrays)
    return np.frombuffer(found, np.float32).reshape(*tokens.shape, -1)


@pytest.mark.parametrize("form", native.FORMATS)
@pytest.mark.parametrize("name", ["even", "odd", "wide", "eighty"])
def test_an_arm_computes_the_same(program, name, form):
    config, packed = shape(name), packed_shape(name, form)
    tokens, positions = inputs(config)
    live = positions >= 0
    want, _ = run(packed, config, tokens, positions, empty_cache(packed, config, ROWS, SLOTS))
    got = logits(program, packed, config, tokens, positions)
    difference = np.abs(got - np.asarray(want))[live].max() / np.std(np.asarray(want)[live])
    assert difference < {"float32": 1e-4}.get(form, 5e-2)


def test_an_arm_draws_the_same(program):
    rows, width, entries = 40, 1111, 1100
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (rows, width)).astype(np.float32)
    temperature = rng.choice([0, 0.2, 0.8, 1], rows).astype(np.float32)
    top_p = rng.choice([0.5, 0.95, 1], rows).astype(np.float32)
    top_k = rng.choice([0, 0, 17], rows).astype(np.int32)
    seed = rng.integers(0, 2**32, rows, dtype=np.uint32)
    positions = np.arange(rows, dtype=np.int32)
    how = (temperature, top_p, top_k, seed, positions)
    want, expected = native.draw(jnp.asarray(scores), entries, *map(jnp.asarray, how))
    found = emulated(program, "draw", (rows, width, entries), 0, scores, *how)
    assert (np.frombuffer(found[: 4 * rows], np.int32) == np.asarray(want)).all()
    np.testing.assert_allclose(np.frombuffer(found[4 * rows :], np.float32), expected, rtol=1e-5)
