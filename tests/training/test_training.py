"""Training: loss and optimizer against independent ones, and resumption to the bit."""

import io
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from rich.console import Console

import jaxformer as jf
from jaxformer.data.loader import Loader
from jaxformer.data.rows import Stretch, row
from jaxformer.model import CodeGenConfig, hidden, init, logits
from jaxformer.training import Recipe, read_recipe, train
from jaxformer.training import loop as loop_module
from jaxformer.training.loss import loss, mixed_product
from jaxformer.training.optimizer import build, schedule

TINY = """
name = "tiny"
context = 32
[model]
vocab_size = 400
n_positions = 64
n_embd = 32
n_layer = 2
n_head = 4
rotary_dim = 8
[[stages]]
name = "mono"
data = "python"
amount = 0.05
steps = 6
batch = 4
learning_rate = 1e-3
warmup = 2
[[stages]]
name = "exercises"
data = "exercises"
amount = 60
steps = 14
batch = 4
learning_rate = 1e-3
warmup = 2
"""
CONFIG = CodeGenConfig(vocab_size=300, n_embd=32, n_layer=2, n_head=4, rotary_dim=8)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "tiny.toml").write_text(TINY)
    return read_recipe(tmp_path / "tiny.toml")


def run(recipe: Recipe, out: Path) -> Path:
    return train(recipe, out, Console(file=io.StringIO()))


def test_the_loss_is_the_weighted_mean_of_document_losses():
    params = init(CONFIG, jax.random.key(0))
    rng = np.random.default_rng(0)
    documents = [(rng.integers(0, 300, n), rng.integers(0, 2, n)) for n in (9, 14, 5)]
    tokens, prompts = (np.concatenate(parts) for parts in zip(*documents, strict=True))
    rows = row(Stretch(tokens, np.array([0, 9, 23]), prompts), 32, prompt_weight=0.3)
    got, cross_entropy = loss(params, CONFIG, rows)  # pyright: ignore
    total = weight = squares = 0.0
    for ids, marks in documents:  # one by one, in plain float32
        states, _ = hidden(params, CONFIG, ids[None, :-1], np.arange(len(ids) - 1)[None])  # pyright: ignore
        scores = torch.tensor(np.asarray(logits(params, states)))[0]
        losses = torch.nn.functional.cross_entropy(
            scores, torch.tensor(ids[1:]), reduction="none"
        ).numpy()
        weights = np.where(marks, 0.3, 1.0)[1:]
        total += (losses * weights).sum()
        squares += (scores.logsumexp(-1).numpy() ** 2 * weights).sum()
        weight += weights.sum()
    assert float(cross_entropy) == pytest.approx(total / weight, rel=2e-3)
    assert float(got) == pytest.approx((total + 1e-4 * squares) / weight, rel=2e-3)


def test_mixed_products_and_their_gradients_are_near_exact_ones():
    x, w = (
        jax.random.normal(jax.random.key(0), (6, 5, 64)),
        jax.random.normal(jax.random.key(1), (64, 48)),
    )

    def value(product, x, w):
        return jnp.sin(product(x, w)).sum()

    np.testing.assert_allclose(mixed_product(x, w), x @ w, atol=0.2)
    got = jax.grad(value, argnums=(1, 2))(mixed_product, x, w)
    want = jax.grad(value, argnums=(1, 2))(jnp.matmul, x, w)
    for ours, exact in zip(got, want, strict=True):
        error = np.linalg.norm(ours - exact) / np.linalg.norm(exact)
        assert error < 0.1
        assert ours.dtype == jnp.float32


def test_adamw_equals_pytorchs():
    params = init(CONFIG, jax.random.key(0))
    rate = schedule(1e-2, 10, 3)
    optimizer = build(CONFIG, "adamw", rate, 0.1)
    state = optimizer.init(params)
    leaves, treedef = jax.tree.flatten(params)
    theirs = [torch.nn.Parameter(torch.tensor(np.asarray(leaf))) for leaf in leaves]
    groups = [
        {"params": [p for p in theirs if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in theirs if p.dim() == 1], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8)
    rng = np.random.default_rng(0)
    for step in range(6):
        gradients = [rng.normal(size=leaf.shape).astype(np.float32) for leaf in leaves]
        updates, state = optimizer.update(treedef.unflatten(gradients), state, params)
        params = jax.tree.map(jnp.add, params, updates)
        for group in adamw.param_groups:
            group["lr"] = np.asarray(rate(step)).item()
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = torch.tensor(gradient)
        torch.nn.utils.clip_grad_norm_(theirs, 1.0)
        adamw.step()
    for ours, their in zip(jax.tree.leaves(params), theirs, strict=True):
        np.testing.assert_allclose(ours, their.detach().numpy(), atol=2e-6)


def test_muon_turns_matrices_of_the_blocks_only():
    params = init(CONFIG, jax.random.key(0))
    optimizer = build(CONFIG, "muon", schedule(1.0, 10, 0), 0.0)
    gradients = jax.tree.map(lambda x: jax.random.normal(jax.random.key(1), x.shape), params)
    updates: Any = optimizer.update(gradients, optimizer.init(params), params)[0]
    turned = np.linalg.svd(updates["blocks"][0]["fc_in"], compute_uv=False)
    assert turned.max() / turned.min() < 2  # orthogonalised: singular values near one another
    adams = np.abs(updates["embedding"])  # Adam's first step: as large everywhere
    np.testing.assert_allclose(adams, adams.mean(), rtol=0.1)


def test_a_broken_run_ends_with_the_same_bits(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(loop_module, "SAVE_EVERY", 5)
    whole = run(recipe, tmp_path / "whole")

    class Breaking(Loader):
        def iterate(self, step=0, **_):  # pyright: ignore
            for number in range(step, 12):
                yield self.batch(number)
            raise KeyboardInterrupt

    monkeypatch.setattr(loop_module, "Loader", Breaking)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "broken")
    monkeypatch.undo()
    monkeypatch.setattr(loop_module, "SAVE_EVERY", 5)
    resumed = run(recipe, tmp_path / "broken")
    weights = [(folder / "model.safetensors").read_bytes() for folder in (whole, resumed)]
    assert weights[0] == weights[1]
    steps = [
        json.loads(line) for line in (tmp_path / "broken/metrics.jsonl").read_text().splitlines()
    ]
    assert steps[-1]["step"] == 14

    model = jf.load(str(whole))
    assert model.config.n_embd == 32
    assert jf.complete(model, "x = ", max_new_tokens=4)[0].tokens
    assert (tmp_path / "whole" / "codegen-tiny-mono" / "config.json").exists()


def test_another_recipe_does_not_resume_a_run(recipe, tmp_path):
    run(recipe, tmp_path / "out")
    with pytest.raises(jf.UserError, match="another recipe"):
        run(recipe.model_copy(update={"seed": 1}), tmp_path / "out")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("context = 32", "contxt = 32", "contxt"),
        ("n_head = 4", "n_head = 5", "multiple"),
        ("steps = 6", "steps = 'six'", "steps"),
        ('data = "python"', 'data = "pyhton"', "data"),
        ("[model]", "[model", "TOML"),
        ("rotary_dim = 8", "rotary_dim = 8\nrotary_dims = 8", "rotary_dims"),
        ("batch = 4", "batch = 0", "batch"),
        ("steps = 6", "steps = 2", "warmup"),
        ("context = 32", "context = 320", "longer"),
        ('name = "mono"', 'name = "exercises"', "same name"),
        ('name = "mono"', 'name = "../mono"', "name"),
    ],
)
def test_bad_recipes_are_named(tmp_path, old, new, complaint):
    path = tmp_path / "bad.toml"
    path.write_text(TINY.replace(old, new))
    with pytest.raises(jf.UserError, match=complaint) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)
    with pytest.raises(jf.UserError, match="no recipe"):
        read_recipe(tmp_path / "none.toml")
