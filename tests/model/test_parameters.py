"""The parameter table against the published sizes and transformers' own count."""

import jax
import numpy as np
import pytest
import torch
from transformers import CodeGenConfig as TheirConfig
from transformers import CodeGenForCausalLM

from jaxformer.model import RELEASED, CodeGenConfig, count, init, table
from jaxformer.model.parameters import is_spec, named_specs


@pytest.mark.parametrize("size", RELEASED)
def test_counts_equal_transformers(size):
    config = RELEASED[size]
    with torch.device("meta"):
        theirs = CodeGenForCausalLM(TheirConfig(**config.model_dump(exclude_none=True)))
    assert count(config) == sum(parameter.numel() for parameter in theirs.parameters())


def test_initialisation_follows_the_table():
    config = CodeGenConfig(vocab_size=300, n_embd=64, n_layer=4, n_head=4, rotary_dim=8)
    params = init(config, jax.random.key(0))
    shapes = jax.tree.map(lambda spec: spec.shape, table(config), is_leaf=is_spec)
    assert jax.tree.map(lambda x: x.shape, params) == shapes
    assert np.std(params["embedding"]) == pytest.approx(0.02, rel=0.05)
    residual = 2 / 4 / 8
    out = np.asarray(params["blocks"][0]["out"])
    assert np.abs(out).max() <= 2 * residual + 1e-6
    assert np.std(out) == pytest.approx(0.88 * residual, rel=0.05)  # a normal cut at ±2 σ
    assert not np.asarray(params["lm_head_bias"]).any()
    assert len({name for name, _ in named_specs(config)}) == len(jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"n_head": 5}, "multiple"),
        ({"rotary_dim": 128}, "rotary_dim"),
        ({"rotary_dim": 7}, "even"),
        ({"n_layer": 0}, "n_layer"),
    ],
)
def test_impossible_shapes_are_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        CodeGenConfig(**{"n_embd": 64, "n_layer": 2, "n_head": 4, "rotary_dim": 8} | change)
