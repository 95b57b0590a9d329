"""The fused q, v, k projection: split and fused exactly, its layout found out where it can be."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxformer as jf
from jaxformer.checkpoints import save_pretrained
from jaxformer.checkpoints.layout import PROBE, find_mp_num, fuse_qkv, relayout, split_qkv
from jaxformer.model import CodeGenConfig, hidden, init, logits

TOKENS = np.random.default_rng(0).integers(0, 1000, (2, 48))


def our_logits(config, params) -> np.ndarray:
    states, _ = hidden(params, config, jnp.asarray(TOKENS), jnp.arange(48)[None].repeat(2, 0))
    return np.asarray(logits(params, states))


@pytest.mark.parametrize("mp_num", [1, 4, 8])
def test_the_fused_rows_are_blocks_of_q_v_and_k(mp_num):
    width, rng = 32, np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, width, width))
    rows, part = [], width // mp_num
    for block in range(mp_num):
        here = slice(block * part, (block + 1) * part)
        rows += [q[here], v[here], k[here]]
    fused = np.concatenate(rows)
    np.testing.assert_array_equal(fuse_qkv(q, k, v, mp_num), fused)
    for got, want in zip(split_qkv(fused, mp_num), (q, k, v), strict=True):
        np.testing.assert_array_equal(got, want)


def test_relayout_gives_what_reading_with_the_other_layout_gives():
    fused = np.random.default_rng(0).normal(size=(96, 32)).astype(np.float32)
    read = {n: dict(zip("qkv", (x.T for x in split_qkv(fused, n)), strict=True)) for n in (4, 8)}
    for assumed, other in ((4, 8), (8, 4), (4, 4)):
        block = {name: jnp.array(value) for name, value in read[assumed].items()}
        block["fc_out_bias"] = jnp.zeros(32)
        relayout([block], assumed, other)
        for name in "qkv":
            np.testing.assert_array_equal(block[name], read[other][name])


EIGHT_HEADS = CodeGenConfig(
    vocab_size=1100, n_positions=256, n_embd=64, n_layer=2, n_head=8, rotary_dim=8
)


@pytest.fixture(scope="module")
def knowing(small_tokenizer):
    """Parameters that know the probe text by heart."""
    tokens = jnp.asarray(small_tokenizer.encode(PROBE))
    positions = jnp.arange(len(tokens))[None]
    optimizer = optax.adamw(1e-2)

    def loss(params):
        states, _ = hidden(params, EIGHT_HEADS, tokens[None], positions)
        scores = logits(params, states[0, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(scores, tokens[1:]).mean()

    @jax.jit
    def step(params, state):
        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    params = init(EIGHT_HEADS, jax.random.key(0))
    state, value = optimizer.init(params), jnp.inf
    for _ in range(60):
        params, state, value = step(params, state)
    assert value < 0.5
    return params


@pytest.mark.parametrize("mp_num", [4, 8])
def test_the_layout_of_a_model_that_knows_code_is_found_out(
    mp_num, knowing, small_tokenizer, tmp_path
):
    save_pretrained(tmp_path, EIGHT_HEADS, knowing, small_tokenizer, mp_num=mp_num)
    model = jf.load(str(tmp_path), packed=False)
    assert [note for note in model.notes if "8 parts" in note] == list(model.notes)
    assert len(model.notes) == (mp_num == 8)
    want = our_logits(EIGHT_HEADS, knowing)
    np.testing.assert_allclose(our_logits(model.config, model.params), want, atol=1e-5)
    wrong = jf.load(str(tmp_path), mp_num=12 - mp_num, packed=False)
    assert np.abs(our_logits(wrong.config, wrong.params) - want).max() > 1


@pytest.mark.parametrize("scale", [1, 4, 16])
def test_no_layout_is_better_where_nothing_was_learnt(scale):
    rng = np.random.default_rng(scale)
    for seed in range(8):
        params = jax.tree.map(lambda x: scale * x, init(EIGHT_HEADS, jax.random.key(seed)))
        tokens = rng.integers(0, 1000, 64).tolist()
        assert find_mp_num(params, EIGHT_HEADS, tokens, 4) == 4


@pytest.mark.parametrize("mp_num", [4, 8])
def test_random_weights_are_left_in_the_usual_layout(mp_num, small_tokenizer, tmp_path):
    params = jax.tree.map(lambda x: 4 * x, init(EIGHT_HEADS, jax.random.key(1)))
    save_pretrained(tmp_path, EIGHT_HEADS, params, small_tokenizer, mp_num=mp_num)
    model = jf.load(str(tmp_path), packed=False)
    assert model.notes == ()
    same = np.array_equal(model.params["blocks"][0]["q"], params["blocks"][0]["q"])
    assert same == (mp_num == 4)
