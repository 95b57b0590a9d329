"""The native kernels: against the plain forward pass, and against themselves bit for bit."""

import json
import os
import subprocess
import sys
from functools import cache, partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxformer as jf
from jaxformer.model import CodeGenConfig, Params, hidden, init, logits, native
from jaxformer.model.inference import empty_cache
from jaxformer.model.quantisation import dequantise, quantise

SHAPES = {
    "even": {"n_embd": 128, "n_head": 2, "rotary_dim": 32, "vocab_size": 200},
    "odd": {"n_embd": 66, "n_head": 3, "rotary_dim": 6, "vocab_size": 101, "n_inner": 50},
    "wide": {"n_embd": 512, "n_head": 2, "rotary_dim": 64, "vocab_size": 64},
    "eighty": {"n_embd": 240, "n_head": 3, "rotary_dim": 80, "vocab_size": 64},
}
# Of a logit's spread: what rounding activations may change.
TOLERANCES = {"float32": 1e-5, "bfloat16": 2e-2, "int8": 8e-2, "int4": 8e-2}
ROWS, TOKENS, SLOTS = 3, 33, 48


def shape(name: str) -> CodeGenConfig:
    return CodeGenConfig(n_layer=2, n_positions=64, **SHAPES[name])


@cache
def lively(name: str) -> Params:
    """Parameters in which nothing is zero or one, so that everything counts."""
    params = init(shape(name), jax.random.key(0))
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda x: jnp.asarray(2 * x + 0.1 * rng.normal(size=x.shape), jnp.float32), params
    )


def as_stored(params: Params, form: str) -> Params:
    """What the packed matrices stand for."""

    def stored(matrix: jax.Array) -> jax.Array:
        if form.startswith("int"):
            return dequantise(quantise(matrix, int(form[3:])))
        return matrix.astype(form).astype(jnp.float32)

    names = ("q", "k", "v", "out", "fc_in", "fc_out")
    blocks = [b | {name: stored(b[name]) for name in names} for b in params["blocks"]]
    half = "float32" if form == "float32" else "bfloat16"
    embedding = params["embedding"].astype(half).astype(jnp.float32)
    head = stored(params["lm_head"])
    return params | {"blocks": blocks, "embedding": embedding, "lm_head": head}


@partial(jax.jit, static_argnames="config")
def run(params, config, tokens, positions, cache):
    states, cache = native.hidden(params, config, tokens, positions, cache)
    flat = states.reshape(-1, config.n_embd)
    return native.logits(params, config, flat).reshape(*tokens.shape, -1), cache


def inputs(config: CodeGenConfig) -> tuple[np.ndarray, np.ndarray]:
    """Ragged rows, padded on the right, on the left, and one that is padding alone."""
    rng = np.random.default_rng(2)
    tokens = rng.integers(0, config.vocab_size, (ROWS, TOKENS)).astype(np.int32)
    positions = np.tile(np.arange(TOKENS, dtype=np.int32), (ROWS, 1))
    positions[0, 20:] = -1
    positions[1] -= 9  # negative ones are padding
    positions[2] = -1
    return tokens, positions


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *((n, f) for n in ("even", "odd") for f in native.FORMATS),
        ("wide", "int8"),
        ("eighty", "int4"),
    ],
)
def test_logits_are_those_of_the_plain_forward_pass(name, form):
    config = shape(name)
    params = lively(name)
    tokens, positions = inputs(config)
    packed = native.pack_params(form, params)
    got, _ = run(packed, config, tokens, positions, empty_cache(packed, config, ROWS, SLOTS))
    plain = as_stored(params, form)
    states, _ = hidden(plain, config, jnp.asarray(tokens), jnp.asarray(positions))
    want = np.asarray(logits(plain, states))
    live = positions >= 0
    error = np.sqrt(np.square(np.asarray(got) - want)[live].mean()) / want[live].std()
    assert error < TOLERANCES[form]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(list(SHAPES)),
    st.sampled_from(native.FORMATS),
    st.sets(st.integers(1, TOKENS - 1), max_size=5),
    st.sampled_from([1, 2, 5, 16]),
    st.sampled_from([TOKENS, 40, 64]),
)
def test_the_same_bits_in_pieces_in_batches_and_in_any_cache(name, form, cuts, rows, slots):
    config = shape(name)
    packed = packed_shape(name, form)
    tokens = np.random.default_rng(3).integers(0, config.vocab_size, (1, TOKENS)).astype(np.int32)
    places = np.arange(TOKENS, dtype=np.int32)[None]
    whole, _ = run(packed, config, tokens, places, empty_cache(packed, config, 1, SLOTS))
    others = np.random.default_rng(4).integers(0, config.vocab_size, (rows, TOKENS))
    others[rows // 2] = tokens
    cache, found = empty_cache(packed, config, rows, slots), []
    for start, stop in pairwise([0, *sorted(cuts), TOKENS]):
        piece = others[:, start:stop].astype(np.int32)
        at = np.repeat(places[:, start:stop], rows, axis=0)
        part, cache = run(packed, config, piece, at, cache)
        found.append(np.asarray(part)[rows // 2])
    np.testing.assert_array_equal(np.concatenate(found), whole[0])


KNOWN: dict[tuple[str, str], Params] = {}


def packed_shape(name: str, form: str) -> Params:
    if (name, form) not in KNOWN:
        KNOWN[name, form] = native.pack_params(form, lively(name))
    return KNOWN[name, form]


@pytest.mark.parametrize("form", native.FORMATS)
def test_reordered_outputs_are_those_of_the_reordered_matrix(form):
    rng = np.random.default_rng(5)
    first, second = (rng.normal(size=(70, size)).astype(np.float32) for size in (48, 40))
    order = rng.permutation(48)
    got = native.reordered(native.pack(form, first, second), order)
    want = native.pack(form, first[:, order], second)
    np.testing.assert_array_equal(got.panels, want.panels)
    np.testing.assert_array_equal(got.scales, want.scales)


SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from tests.model.test_native import *
out = [native.instruction_set()]
config = shape("odd")
tokens, positions = inputs(config)
for form in native.FORMATS:
    packed = packed_shape("odd", form)
    got, _ = run(packed, config, tokens, positions, empty_cache(packed, config, ROWS, SLOTS))
    out.append(np.asarray(got)[positions >= 0].tolist())
rows = jnp.arange(90)
scores = jnp.asarray(np.random.default_rng(0).normal(0, 2, (90, 1001)), jnp.float32)
tokens, _ = native.draw(
    scores, 1000, (rows % 3) / 2, 0.9 + rows % 2 / 10, rows % 5, rows.astype(jnp.uint32), rows
)
out.append(np.asarray(tokens).tolist())
print(json.dumps(out))
"""


def test_all_instruction_sets_compute_the_same(request):
    """To rounding; those that this processor lacks become the next lower ones."""
    outputs, names = [], ("AVX-512", "AVX2", "portable")
    for name in names:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, request.config.rootpath],
            env=os.environ | {"JAXFORMER_KERNELS": name},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        outputs.append(json.loads(done.stdout))
    assert outputs[-1][0] in ("portable", "NEON")
    if native.instruction_set() == "AVX-512":
        assert [output[0] for output in outputs] == list(names)
    for output in outputs[1:]:
        assert output[-1] == outputs[0][-1]
        for form, ours, theirs in zip(native.FORMATS, output[1:-1], outputs[0][1:-1], strict=True):
            difference = np.abs(np.array(ours) - theirs).max() / np.std(theirs)
            assert difference < {"float32": 1e-4}.get(form, 5e-2)


def test_without_the_library_plain_xla_serves_and_says_so_once(random_folder, monkeypatch, caplog):
    def missing():
        raise OSError("they are not built")

    monkeypatch.setattr("jaxformer.model.native.library._load", missing)
    native.instruction_set.cache_clear()
    try:
        models = [jf.load(str(random_folder), dtype=dtype) for dtype in ("float32", "int4")]
        for model in models:
            assert not native.is_packed(model.params)
            [done] = jf.complete(model, "def f(a):\n", max_new_tokens=4, temperature=0.0)
            assert done.tokens
        assert len([r for r in caplog.records if "they are not built" in r.message]) == 1
        with pytest.raises(jf.UserError, match="no native kernels"):
            jf.load(str(random_folder), packed=True)
    finally:
        native.instruction_set.cache_clear()
