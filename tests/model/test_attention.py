"""Every kernel against the reference, for every kind of mask it is given."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conftest import is_one_sentence
from jaxformer.errors import UserError
from jaxformer.model import attention


@settings(max_examples=8, deadline=None)
@given(
    batch=st.integers(1, 3),
    queries=st.sampled_from([1, 5, 16]),
    keys=st.sampled_from([16, 33]),
    heads=st.sampled_from([1, 4]),
    head_dim=st.sampled_from([8, 64, 80]),
    density=st.sampled_from([0.1, 0.5, 1.0]),
    seed=st.integers(0, 1000),
)
def test_xla_equals_the_reference(batch, queries, keys, heads, head_dim, density, seed):
    rng = np.random.default_rng(seed)
    q, k, v = (
        jnp.asarray(rng.normal(size=(batch, n, heads, head_dim)), jnp.float32)
        for n in (queries, keys, keys)
    )
    mask = rng.random((batch, queries, keys)) < density
    mask[..., 0] = True  # what a query that sees nothing returns is not defined
    got = jax.jit(attention.xla)(3 * q, k, v, mask)
    want = jax.jit(attention.reference)(3 * q, k, v, mask)
    np.testing.assert_allclose(got, want, atol=2e-5)


def test_the_reference_equals_jax():
    q, k, v = (jax.random.normal(jax.random.key(i), (2, 12, 4, 16)) for i in range(3))
    mask = jnp.broadcast_to(jnp.tril(jnp.ones((12, 12), bool)), (2, 12, 12))
    want = jax.nn.dot_product_attention(q, k, v, is_causal=True)
    np.testing.assert_allclose(attention.reference(q, k, v, mask), want, atol=1e-5)


@pytest.mark.parametrize("kernel", [attention.reference, attention.xla])
def test_half_precision_does_not_overflow(kernel):
    q = jnp.full((1, 2, 1, 64), 60, jnp.float16)  # q·k is 230,400; float16 ends at 65,504
    v = jnp.arange(128, dtype=jnp.float16).reshape(1, 2, 1, 64)
    out = kernel(q, q, v, jnp.ones((1, 2, 2), bool))
    assert out.dtype == jnp.float16
    np.testing.assert_allclose(out[0, 0, 0], (v[0, 0, 0] + v[0, 1, 0]) / 2, rtol=1e-2)


def test_a_query_that_sees_nothing_is_finite():
    q = jnp.ones((1, 2, 1, 8))
    assert jnp.isfinite(attention.xla(q, q, q, jnp.zeros((1, 2, 2), bool))).all()


# --- Within rows ----------------------------------------------------------------------------------

LENGTHS = (1, 127, 128, 129, 300)
TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-2}  # of the largest value
interpreted = partial(attention.splash, interpret=True)
cases = [
    *((attention.tiled, tokens, "float32") for tokens in LENGTHS),
    *((attention.tiled, tokens, "bfloat16") for tokens in LENGTHS[-2:]),
    *((attention.xla_rows, 129, dtype) for dtype in TOLERANCE),
    *((interpreted, 256, dtype) for dtype in TOLERANCE),  # one block
    (interpreted, 384, "float32"),  # several
]


def one_document(tokens, rng):
    return np.zeros((2, tokens), np.int32)


def many_documents(tokens, rng):
    return np.cumsum(rng.random((2, tokens)) < 0.03, -1, dtype=np.int32)


def padding_at_the_end(tokens, rng):
    segments = many_documents(tokens, rng)
    segments[0, tokens - tokens // 3 :] = -1
    return segments


def padding_in_front(tokens, rng):
    return padding_at_the_end(tokens, rng)[:, ::-1].copy()


def padding_only(tokens, rng):
    segments = many_documents(tokens, rng)
    segments[0] = -1
    return segments


def anything(tokens, rng):
    return rng.integers(-1, 4, (2, tokens), np.int32)


masks = [
    one_document,
    many_documents,
    padding_at_the_end,
    padding_in_front,
    padding_only,
    anything,
]


@partial(jax.jit, static_argnums=0)
def value_and_gradients(attend, q, k, v, segments, d_out):
    out, back = jax.vjp(lambda q, k, v: attend(q, k, v, segments), q, k, v)
    return out, *back(d_out)


def random_rows(tokens, dtype, rng, heads=2, head_dim=16):
    """Return q, k, v and the gradient of what is attended to; the softmax is a sharp one."""
    shape = (2, tokens, heads, head_dim)
    return [scale * rng.normal(size=shape).astype(jnp.dtype(dtype)) for scale in (2, 1, 1, 1)]


def check(attend, segments, dtype, rng, seen=None, **shape):
    """Compare with the reference, which is given other segments if `seen` are."""
    *qkv, d_out = random_rows(segments.shape[1], dtype, rng, **shape)
    real = (segments >= 0)[..., None, None]
    d_out = np.where(real, d_out, np.zeros_like(d_out))  # what padding returns is not defined
    got = value_and_gradients(attend, *qkv, segments, d_out)
    wide = [x.astype(np.float32) for x in (*qkv, d_out)]
    seen = segments if seen is None else seen
    want = value_and_gradients(attention.reference_rows, *wide[:3], seen, wide[3])
    for name, a, b in zip(("value", "d_q", "d_k", "d_v"), got, want, strict=True):
        assert a.dtype == dtype, name
        a = np.asarray(a, np.float32)
        assert np.isfinite(a).all(), name
        a, b = (np.where(real, x, 0) for x in (a, b))
        atol = TOLERANCE[dtype] * max(1, np.abs(b).max())
        np.testing.assert_allclose(a, b, atol=atol, rtol=0, err_msg=name)


@pytest.mark.parametrize("mask", masks)
@pytest.mark.parametrize(("attend", "tokens", "dtype"), cases)
def test_rows_equal_the_reference(attend, tokens, dtype, mask):
    rng = np.random.default_rng(tokens)
    check(attend, mask(tokens, rng), dtype, rng)


@settings(max_examples=20, deadline=None)
@given(segments=arrays(np.int32, (2, 150), elements=st.integers(-1, 3)), seed=st.integers(0, 999))
def test_tiled_equals_the_reference_for_any_segments(segments, seed):
    check(attention.tiled, segments, "float32", np.random.default_rng(seed))


@pytest.mark.parametrize("head_dim", [80, 256])
@pytest.mark.parametrize("attend", [attention.tiled, interpreted])
def test_rows_equal_the_reference_for_released_heads(attend, head_dim):
    rng = np.random.default_rng(head_dim)
    check(attend, many_documents(128, rng), "bfloat16", rng, heads=1, head_dim=head_dim)


@pytest.mark.parametrize("attend", [attention.xla_rows, attention.tiled, interpreted])
@pytest.mark.parametrize("mask", [padding_at_the_end, padding_in_front, padding_only])
def test_gradients_of_padding_are_finite(attend, mask):
    rng = np.random.default_rng(0)
    q, k, v, d_out = random_rows(256, jnp.bfloat16, rng)
    for x in value_and_gradients(attend, 50 * q, k, v, mask(256, rng), d_out):
        assert np.isfinite(np.asarray(x, np.float32)).all()


def plain(name, platform="cpu") -> Callable[..., jax.Array]:
    return attention.choose(
        name, platform, tokens=256, head_dim=16, dtype="bfloat16", mask_documents=False
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "attend",
    [
        *(plain(name) for name in ("reference", "xla", "tiled")),
        partial(plain("splash", "tpu"), interpret=True),
    ],
)
def test_a_row_may_be_one_stream(attend, dtype):
    rng = np.random.default_rng(0)
    segments = padding_at_the_end(256, rng)
    check(attend, segments, dtype, rng, seen=np.where(segments < 0, -1, 0))


@pytest.mark.parametrize("mask_documents", [False, True])
def test_cudnn_is_asked_for_the_same(monkeypatch, mask_documents):
    def stand_in(q, k, v, *, implementation, **rest):
        assert implementation == "cudnn"
        assert (rest["mask"] is not None) == mask_documents
        # The definition of what cuDNN was asked for, in a precision that shows what is wrong.
        wide = (x.astype(jnp.float32) for x in (q, k, v))
        return dot_product_attention(*wide, **rest, implementation="xla").astype(v.dtype)

    dot_product_attention = jax.nn.dot_product_attention
    monkeypatch.setattr(jax.nn, "dot_product_attention", stand_in)
    rng = np.random.default_rng(0)
    segments = padding_at_the_end(64, rng)
    attend = partial(attention.cudnn, mask_documents=mask_documents)
    seen = segments if mask_documents else np.where(segments < 0, -1, 0)
    check(attend, segments, "bfloat16", rng, seen=seen)


@pytest.mark.parametrize(
    ("name", "platform", "head_dim"),
    [("cudnn", "gpu", 64), ("cudnn", "gpu", 80), ("splash", "tpu", 64), ("splash", "tpu", 80)],
)
def test_accelerators_equal_the_reference(name, platform, head_dim):
    if jax.default_backend() != platform:
        pytest.skip(f"there is no {platform} here")
    rng = np.random.default_rng(0)
    choice = {"tokens": 256, "head_dim": head_dim, "dtype": "bfloat16"}
    attend = attention.choose(name, platform, **choice, mask_documents=True)
    for mask in masks:
        check(attend, mask(256, rng), "bfloat16", rng, head_dim=head_dim)
    attend = attention.choose(name, platform, **choice, mask_documents=False)
    segments = padding_at_the_end(256, rng)
    seen = np.where(segments < 0, -1, 0)
    check(attend, segments, "bfloat16", rng, seen=seen, head_dim=head_dim)


@pytest.mark.parametrize("mask_documents", [False, True])
@pytest.mark.parametrize(
    ("tokens", "head_dim", "dtype"),
    [(128, 64, jnp.bfloat16), (384, 80, jnp.bfloat16), (2048, 256, jnp.float32)],
)
def test_splash_lowers_for_a_tpu(tokens, head_dim, dtype, mask_documents):
    attend = partial(attention.splash, mask_documents=mask_documents)
    rows = jax.ShapeDtypeStruct((2, tokens, 2, head_dim), dtype)
    segments = jax.ShapeDtypeStruct((2, tokens), jnp.int32)
    traced = jax.jit(partial(value_and_gradients, attend)).trace(rows, rows, rows, segments, rows)
    assert "tpu_custom_call" in traced.lower(lowering_platforms=("tpu",)).as_text()


# --- The choice -----------------------------------------------------------------------------------

FITS = {"tokens": 2048, "head_dim": 64, "dtype": "bfloat16", "mask_documents": True}


@pytest.mark.parametrize(
    ("platform", "changes", "want"),
    [
        ("cpu", {}, "tiled"),
        ("cpu", {"tokens": 300, "dtype": "float32"}, "tiled"),
        ("gpu", {}, "cudnn"),
        ("cuda", {"mask_documents": False}, "cudnn"),
        ("gpu", {"dtype": "float32"}, "xla"),
        ("gpu", {"head_dim": 20}, "xla"),
        ("tpu", {}, "splash"),
        ("tpu", {"tokens": 300}, "xla"),
        ("metal", {}, "xla"),
    ],
)
def test_auto_takes_what_can_serve_and_says_so(caplog, platform, changes, want):
    with caplog.at_level("INFO", "jaxformer"):
        got = attention.choose("auto", platform, **FITS | changes)
    assert f"attention: {want}" in caplog.text
    assert got is attention.choose(want, platform, **FITS | changes)


@pytest.mark.parametrize(
    ("name", "platform", "changes", "words"),
    [
        ("flash", "cpu", {}, ["'flash'", *attention.NAMES]),
        ("tiled", "gpu", {}, ["'tiled'", "cpu", "gpu"]),
        ("cudnn", "cpu", {}, ["'cudnn'", "gpu", "cpu"]),
        ("splash", "cuda", {}, ["'splash'", "tpu", "gpu"]),
        ("cudnn", "gpu", {"dtype": "float32"}, ["'cudnn'", "bfloat16", "float32"]),
        ("cudnn", "gpu", {"head_dim": 20}, ["'cudnn'", "8", "20"]),
        ("cudnn", "gpu", {"head_dim": 264}, ["'cudnn'", "264"]),
        ("cudnn", "gpu", {"tokens": 301}, ["'cudnn'", "even", "301"]),
        ("splash", "tpu", {"tokens": 300}, ["'splash'", "128", "300"]),
        ("splash", "tpu", {"dtype": "float16"}, ["'splash'", "bfloat16", "float16"]),
    ],
)
def test_a_named_kernel_that_cannot_serve_is_refused(name, platform, changes, words):
    with pytest.raises(UserError) as caught:
        attention.choose(name, platform, **FITS | changes)
    message = str(caught.value)
    assert all(word in message for word in words)
    assert is_one_sentence(message)


@pytest.mark.parametrize(
    ("capability", "head_dim", "want"),
    [
        ("7.5", 64, "xla"),
        ("8.0", 128, "cudnn"),
        ("8.0", 256, "xla"),
        ("9.0", 256, "cudnn"),
        ("10.0", 128, "cudnn"),
        ("10.0", 256, "xla"),
        ("gfx942", 64, "xla"),
    ],
)
def test_the_generation_of_a_gpu_counts(monkeypatch, capability, head_dim, want):
    gpu = SimpleNamespace(compute_capability=capability)
    monkeypatch.setattr(jax, "local_devices", lambda **_: [gpu])
    got = attention.choose("auto", "gpu", **FITS | {"head_dim": head_dim})
    monkeypatch.undo()
    assert got is attention.choose(want, "gpu", **FITS)


@pytest.mark.parametrize("mask_documents", [False, True])
def test_a_choice_is_one_object(mask_documents):
    for name, platform in [("xla", "cpu"), ("tiled", "cpu"), ("cudnn", "gpu"), ("splash", "tpu")]:
        choices = [
            attention.choose(name, platform, **FITS | {"mask_documents": mask_documents, **other})
            for other in ({}, {"tokens": 1024}, {"dtype": jnp.bfloat16}, {})
        ]
        assert len({id(choice) for choice in choices}) == len(set(choices)) == 1


# --- Over a mesh ----------------------------------------------------------------------------------

OVER_MESH = """
import sys
from functools import partial
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
from jaxformer.model import attention
from jaxformer.model.sharding import make_mesh

mesh = make_mesh((2, 2, 2))
rng = np.random.default_rng(0)
rows = [jnp.asarray(rng.normal(size=(4, 130, 4, 8)), jnp.float32) for _ in range(4)]
segments = jnp.asarray(np.sort(rng.integers(0, 4, (4, 130)), -1), jnp.int32)

@partial(jax.jit, static_argnums=0)
def run(attend, q, k, v, d_out, segments):
    out, back = jax.vjp(lambda q, k, v: attend(q, k, v, segments), q, k, v)
    return out, *back(d_out)

split = NamedSharding(mesh, P(("data", "fsdp"), None, "tensor"))
by_row = NamedSharding(mesh, P(("data", "fsdp")))
placed = [*jax.device_put(rows, split), jax.device_put(segments, by_row)]
for kernel in (attention.tiled, attention.xla_rows):
    attend = attention.over_mesh(kernel, mesh)
    assert attend is attention.over_mesh(kernel, mesh) and hash(attend) is not None
    want = run(attention.reference_rows, *rows, segments)
    with jax.set_mesh(mesh):
        got = run(attend, *placed)
        text = run.lower(attend, *placed).compile().as_text()
    for a, b, c in zip(got, want, run(attend, *placed), strict=True):
        assert a.sharding.is_equivalent_to(split, a.ndim), a.sharding
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_array_equal(a, c)
    words = [w for w in ("all-gather", "all-reduce", "all-to-all", "collective") if w in text]
    assert not words, words
print("done")
"""


def test_over_a_mesh_each_device_attends_alone():
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    done = subprocess.run(
        [sys.executable, "-c", OVER_MESH],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.strip() == "done", done.stderr
