"""The forward pass against transformers, alone, cached and in ragged batches."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from transformers import CodeGenConfig as TheirConfig
from transformers import CodeGenForCausalLM

from jaxformer.checkpoints import read_config, read_params
from jaxformer.model import hidden, logits, new_cache

VOCAB = 512
SHAPES = [  # head_dim, rotary_dim and heads as in the released sizes
    pytest.param(64, 32, 4, id="350M-head"),
    pytest.param(80, 64, 4, id="2B-head"),
    pytest.param(256, 64, 4, id="6B-head"),
    pytest.param(64, 32, 8, id="8-heads"),
]


def their_model(head_dim: int, rotary_dim: int, heads: int) -> CodeGenForCausalLM:
    torch.manual_seed(head_dim + heads)
    config = TheirConfig(
        vocab_size=VOCAB,
        n_positions=256,
        n_ctx=256,
        n_embd=head_dim * heads,
        n_head=heads,
        n_layer=3,
        n_inner=512,
        rotary_dim=rotary_dim,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = CodeGenForCausalLM(config).eval()
    for name, parameter in model.named_parameters():  # biases too, and a spread of logits
        mean = 1.0 if "ln_" in name else 0.0
        torch.nn.init.normal_(parameter, mean, std=1.3 / config.n_embd**0.5)
    return model


def use_mp_num(model: CodeGenForCausalLM, mp_num: int) -> None:
    """Give transformers, which knows 4 blocks only, another layout of the fused projection."""
    for block in model.transformer.h:
        attention: Any = block.attn
        assert attention.mp_num == 4
        attention.mp_num = mp_num


def run(params, config, tokens: np.ndarray, positions: np.ndarray) -> np.ndarray:
    states, _ = hidden(params, config, jnp.asarray(tokens), jnp.asarray(positions))
    return np.asarray(logits(params, states))


@pytest.mark.parametrize(("head_dim", "rotary_dim", "heads"), SHAPES)
@pytest.mark.parametrize("mp_num", [4, 8])
def test_logits_and_greedy_tokens_equal_transformers(head_dim, rotary_dim, heads, mp_num, tmp_path):
    if heads % mp_num:
        heads = mp_num
    theirs = their_model(head_dim, rotary_dim, heads)
    use_mp_num(theirs, mp_num)
    theirs.save_pretrained(tmp_path)
    config = read_config(tmp_path)
    params = read_params(tmp_path, config, "float32", mp_num)

    rng = np.random.default_rng(0)
    tokens = rng.integers(0, VOCAB, (2, 96))
    positions = np.broadcast_to(np.arange(96), tokens.shape)
    with torch.no_grad():
        want = theirs(torch.tensor(tokens)).logits.numpy()
    assert np.abs(want).max() > 1  # so that 1e-4 means something
    assert np.abs(run(params, config, tokens, positions) - want).max() <= 1e-4

    prompts = [rng.integers(1, VOCAB, n).tolist() for n in (3, 17, 40, 29)]
    alone = [greedy_theirs(theirs, prompt) for prompt in prompts]
    assert greedy_ragged(params, config, prompts) == alone


def greedy_theirs(model: CodeGenForCausalLM, prompt: list[int]) -> list[int]:
    with torch.no_grad():
        out: Any = model.generate(  # pyright: ignore[reportAttributeAccessIssue]
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=64,
            min_new_tokens=64,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
    return out[0, len(prompt) :].tolist()


def greedy_ragged(params, config, prompts: list[list[int]]) -> list[list[int]]:
    """Decode 64 tokens for all prompts in one batch, padded left and right by turns."""
    width = max(map(len, prompts)) + 2
    tokens = np.zeros((len(prompts), width), np.int32)
    positions = np.full((len(prompts), width), -1, np.int32)
    for row, prompt in enumerate(prompts):
        start = 0 if row % 2 else width - len(prompt)
        tokens[row, start : start + len(prompt)] = prompt
        positions[row, start : start + len(prompt)] = np.arange(len(prompt))
    last = np.argmax(positions, axis=1)

    @jax.jit
    def step(cache, tokens, positions):
        states, cache = hidden(params, config, tokens, positions, cache=cache)
        return cache, logits(params, states).argmax(-1)

    cache = new_cache(config, len(prompts), 128, jnp.dtype(jnp.float32))
    cache, chosen = step(cache, jnp.asarray(tokens), jnp.asarray(positions))
    token = np.asarray(chosen)[np.arange(len(prompts)), last]
    position = np.array([len(prompt) for prompt in prompts])
    written = [token]
    for _ in range(63):
        cache, chosen = step(cache, jnp.asarray(token[:, None]), jnp.asarray(position[:, None]))
        token, position = np.asarray(chosen)[:, 0], position + 1
        written.append(token)
    return np.stack(written, axis=1).tolist()


def test_a_packed_row_equals_its_documents_alone(random_model):
    config, params = random_model.config, random_model.params
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 1000, (1, 30)), rng.integers(0, 1000, (1, 20))
    packed = np.concatenate([first, second], axis=1)
    positions = np.concatenate([np.arange(30), np.arange(20)])[None]
    segments = np.concatenate([np.zeros(30, int), np.ones(20, int)])[None]
    states, _ = hidden(
        params,
        config,
        jnp.asarray(packed),
        jnp.asarray(positions),
        segments=jnp.asarray(segments),
    )
    got = np.asarray(logits(params, states))[0]
    alone = [run(params, config, x, np.arange(x.shape[1])[None])[0] for x in (first, second)]
    np.testing.assert_allclose(got, np.concatenate(alone), atol=1e-4)


def test_bfloat16_stays_near_float32(random_model):
    config, params = random_model.config, random_model.params
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), params)
    tokens = np.random.default_rng(2).integers(0, 1000, (1, 64))
    positions = np.arange(64)[None]
    full = run(params, config, tokens, positions)
    rounded = run(half, config, tokens, positions)
    assert rounded.dtype == np.float32
    assert np.abs(full - rounded).max() < 0.05 * np.abs(full).max()
    assert not np.array_equal(full, rounded)
