"""The training step against transformers with PyTorch's AdamW, and its own promises."""

import copy
import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from transformers import CodeGenConfig as TheirConfig
from transformers import CodeGenForCausalLM

from jaxformer.checkpoints import read_config, read_params
from jaxformer.data.rows import Rows, Stretch, row, stack
from jaxformer.model import CodeGenConfig, Params, hidden, init, logits, table
from jaxformer.model.attention import xla_rows
from jaxformer.model.attention.tiled import tiled
from jaxformer.model.forward import matmul
from jaxformer.model.parameters import stack as stack_blocks
from jaxformer.model.parameters import stack_specs, unstack
from jaxformer.training.loss import losses, tile_of
from jaxformer.training.optimizer import build, schedule
from jaxformer.training.plan import REMAT
from jaxformer.training.products import mixed
from jaxformer.training.sizes import Pace
from jaxformer.training.step import Computation, make_gradients, make_step, new_state

CONFIG = CodeGenConfig(vocab_size=300, n_positions=64, n_embd=64, n_layer=2, n_head=4, rotary_dim=8)
PLAIN = Computation(xla_rows, matmul, jnp.float32)
PACE = Pace(20, 8, 3e-3, 4, 20)
Z_LOSS = 1e-4


def batch(seed: int, context: int = 48, rows: int = 8) -> Rows:
    """Packed rows: several documents in each, padding at the end, prompts that count little."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(rows):
        length = int(rng.integers(context // 2, context + 2))
        starts = np.unique(np.append(0, rng.integers(0, length, 2)))
        tokens = rng.integers(0, 300, length).astype(np.int32)
        made.append(row(Stretch(tokens, starts, rng.integers(0, 2, length)), context, True, 0.3))
    return stack(made)


def plain_batch(seed: int, context: int = 48, rows: int = 8) -> Rows:
    """Rows of one document each, as transformers reads them."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 300, (rows, context + 1)).astype(np.int32)
    return stack([row(Stretch(ids, np.array([0])), context) for ids in tokens])


def gradients(how: Computation, params, rows: Rows):
    found = make_gradients(CONFIG, how, Z_LOSS, lambda _, trained: trained)
    return jax.jit(found)(params, None, rows)


def far(ours, theirs) -> float:
    """The largest relative distance of two trees' leaves, by norm."""
    return max(
        float(np.linalg.norm(np.asarray(a) - np.asarray(b)) / np.linalg.norm(np.asarray(b)))
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    )


@pytest.fixture(scope="module")
def params():
    return init(CONFIG, jax.random.key(0))


# Against transformers and PyTorch's AdamW


@pytest.fixture(scope="module")
def their_model() -> CodeGenForCausalLM:
    torch.manual_seed(0)
    config = TheirConfig(
        vocab_size=300,
        n_positions=64,
        n_ctx=64,
        n_embd=64,
        n_head=4,
        n_layer=2,
        rotary_dim=8,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    model = CodeGenForCausalLM(config).train()
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, 1.0 if "ln_" in name else 0.0, std=0.05)
    return model


def as_ours(model: CodeGenForCausalLM, folder: Path) -> Params:
    """Return their weights in our arrangement, by way of a checkpoint."""
    model.save_pretrained(folder)
    return read_params(folder, read_config(folder), "float32", 4)


def their_losses(model: CodeGenForCausalLM, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss with z-loss, and the cross-entropy in it."""
    scores = model(input_ids=torch.tensor(rows.tokens).long()).logits.float()
    log_z = scores.logsumexp(-1)
    picked = scores.gather(-1, torch.tensor(rows.targets).long()[..., None])[..., 0]
    entropy = (log_z - picked).mean()
    return entropy + Z_LOSS * log_z.square().mean(), entropy


def test_gradients_equal_transformers(their_model, tmp_path):
    model: Any = copy.deepcopy(their_model)
    rows = plain_batch(0)
    theirs, entropy = their_losses(model, rows)
    theirs.backward()
    ours, loss = gradients(PLAIN, as_ours(model, tmp_path / "weights"), rows)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.grad)
    assert float(loss) == pytest.approx(entropy.item(), rel=1e-5)
    assert far(ours, as_ours(model, tmp_path / "gradients")) <= 1e-4


def test_twenty_steps_equal_transformers_with_torch_adamw(their_model, tmp_path):
    model: Any = copy.deepcopy(their_model)
    params = as_ours(model, tmp_path / "weights")
    rate = schedule(PACE)
    optimizer = build(table(CONFIG), "adamw", rate, 0.1)
    step = make_step(CONFIG, optimizer, PLAIN, z_loss=Z_LOSS)
    state = new_state(params, optimizer)
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8)
    ours, theirs = [], []
    for number in range(20):
        rows = plain_batch(number)
        state, report = step(state, None, rows, number)
        ours.append([float(report.loss), float(report.norm)])
        for group in adamw.param_groups:
            group["lr"] = np.asarray(rate(number)).item()
        adamw.zero_grad()
        loss, entropy = their_losses(model, rows)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()
        theirs.append([entropy.item(), norm.item()])
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert far(state.params, as_ours(model, tmp_path / "after")) <= 1e-4
    assert theirs[-1][0] < theirs[0][0]


# Layouts of one computation


ROWS = batch(1)


@pytest.mark.parametrize(
    ("remat", "parts", "stacked"),
    [("nothing", 2, True), ("some", 1, False), ("some", 8, True), ("all", 4, False)],
)
def test_how_gradients_are_computed_does_not_change_them(params, remat, parts, stacked):
    want, loss = gradients(PLAIN, params, ROWS)
    how = Computation(xla_rows, matmul, jnp.float32, accumulate=parts, remat=REMAT[remat])
    got, ours = gradients(how, stack_blocks(params) if stacked else params, ROWS)
    assert far(unstack(got, CONFIG.n_layer), want) < 1e-5
    assert float(ours) == pytest.approx(float(loss), rel=1e-6)


@pytest.mark.parametrize(
    ("fuse", "by_rows", "dtype"),
    [(True, True, jnp.float32), (False, False, jnp.bfloat16)],  # as on CPUs; as on split GPUs
)
def test_mixed_precision_stays_near_and_sums_in_float32(params, fuse, by_rows, dtype):
    want, _ = gradients(PLAIN, params, ROWS)
    how = Computation(tiled, mixed(dtype=dtype, fuse=fuse, by_rows=by_rows), dtype, accumulate=2)
    got, _ = gradients(how, params, ROWS)
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {jnp.dtype(jnp.float32)}
    assert far(got, want) < 0.06


def test_products_together_equal_products_alone():
    keys = jax.random.split(jax.random.key(0), 4)
    x = jax.random.normal(keys[0], (2, 5, 64))
    weights = [jax.random.normal(k, (64, n)) for k, n in zip(keys[1:], (8, 24, 16), strict=True)]

    def value(multiply, x, weights):
        return sum(jnp.sin(y).sum() for y in multiply(x, weights))

    for together in (mixed(dtype=jnp.float32), mixed(dtype=jnp.float32, by_rows=True)):
        alone = mixed(dtype=jnp.float32, fuse=False)
        got = jax.grad(functools.partial(value, together), argnums=(0, 1))(x, weights)
        want = jax.grad(functools.partial(value, alone), argnums=(0, 1))(x, weights)
        assert far(got, want) < 1e-3
        exact = jax.grad(functools.partial(value, matmul), argnums=(0, 1))(x, weights)
        assert 1e-6 < far(got, exact) < 0.05


def test_the_loss_is_the_weighted_mean_of_document_losses(params):
    rng = np.random.default_rng(0)
    documents = [(rng.integers(0, 300, n), rng.integers(0, 2, n)) for n in (9, 14, 5)]
    tokens, prompts = (np.concatenate(parts) for parts in zip(*documents, strict=True))
    rows = row(Stretch(tokens, np.array([0, 9, 23]), prompts), 32, prompt_weight=0.3)
    _, got = gradients(PLAIN, params, rows)
    total = weight = 0.0
    for ids, marks in documents:  # one by one
        places = np.arange(len(ids) - 1)[None]
        states, _ = hidden(params, CONFIG, ids[None, :-1], places)  # pyright: ignore
        scores = torch.tensor(np.asarray(logits(params, states)))[0]
        each = torch.nn.functional.cross_entropy(scores, torch.tensor(ids[1:]), reduction="none")
        weights = np.where(marks, 0.3, 1.0)[1:]
        total += (each.numpy() * weights).sum()
        weight += weights.sum()
    assert float(got) == pytest.approx(total / weight, rel=1e-5)


@pytest.mark.parametrize("tile", [1, 5, 6, 48])
def test_losses_in_tiles_equal_losses_at_once(params, tile):
    head = {name: params[name] for name in ("lm_head", "lm_head_bias")}
    states = jax.random.normal(jax.random.key(2), (8, 48, 64))

    def at_once(head, states):
        scores = states @ head["lm_head"] + head["lm_head_bias"]
        log_z = jax.nn.logsumexp(scores, -1)
        picked = jnp.take_along_axis(scores, jnp.asarray(ROWS.targets)[..., None], -1)[..., 0]
        return ((log_z - picked + Z_LOSS * log_z**2) * ROWS.weights).sum()

    def in_tiles(head, states):
        sums: Any = losses(head, states, ROWS, Z_LOSS, matmul, tile)
        return 3.0 * sums.total

    want, by_want = jax.value_and_grad(at_once, (0, 1))(head, states)
    got, by_got = jax.value_and_grad(in_tiles, (0, 1))(head, states)
    assert float(got) == pytest.approx(3 * float(want), rel=1e-5)
    assert far(by_got, jax.tree.map(lambda x: 3 * x, by_want)) < 1e-5


def test_tiles_are_few_and_nearly_full():
    for context in (1, 7, 48, 1021, 2047, 2048):
        for rows in (1, 3, 64):
            tile = tile_of(context, rows, 1024)
            assert tile == 1 or tile * rows <= 1024
            tiles = -(-context // tile)
            assert tiles <= -(-context // (1024 // rows))
            assert tiles * tile - context < tiles


# Bad batches


def run(params, rows_of, skip: bool, steps: int):
    optimizer = build(table(CONFIG), "adamw", schedule(Pace(200, 8, 1e-2, 0, 200)), 0.1)
    step = make_step(CONFIG, optimizer, PLAIN, skip=skip)
    state = new_state(jax.tree.map(jnp.copy, params), optimizer)
    reports, states = [], []
    for number in range(steps):
        state, report = step(state, None, rows_of(number), number)
        reports.append(report)
        states.append(jax.tree.map(np.array, state))
    return states, reports


def poisoned(number: int) -> Rows:
    rows = batch(number)
    return rows._replace(weights=rows.weights * (np.nan if number == 3 else 1))


@pytest.mark.parametrize("skip", [True, False])
def test_a_batch_without_a_number_for_a_loss_changes_no_weights(params, skip):
    states, reports = run(params, poisoned, skip, 6)
    assert [float(r.bad) for r in reports[:4]] == [0, 0, 0, 1]
    counts = []
    for a, b in zip(*map(jax.tree.leaves, (states[2][:2], states[3][:2])), strict=True):
        if np.issubdtype(a.dtype, np.integer):
            counts.append((int(a), int(b)))
        else:
            np.testing.assert_array_equal(a, b)
    # What counts steps goes on with them, so that the learning rate keeps to its schedule.
    assert counts == [(3, 3 + skip)] * 2
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(states[-1]))
    if skip:
        assert int(states[-1].step) == 6
        assert far(states[-1].params, states[3].params) > 0
    else:  # it waits for that batch
        assert int(states[-1].step) == 3
        assert far(states[-1].params, states[3].params) == 0


def test_a_spike_is_bad_and_ordinary_change_is_not(params):
    def spiking(number: int) -> Rows:
        rows = plain_batch(number % 4, context=16, rows=2)
        if number == 120:  # learnt by heart by now: other targets are far off
            return rows._replace(targets=(rows.targets + 150) % 300)
        return rows

    _, reports = run(params, spiking, True, 124)
    assert [n for n, report in enumerate(reports) if float(report.bad)] == [120]


# The optimizer


def test_muon_turns_matrices_of_the_blocks_only(params):
    for stacked in (False, True):
        tree = stack_blocks(params) if stacked else params
        specs = stack_specs(table(CONFIG)) if stacked else table(CONFIG)
        optimizer = build(specs, "muon", schedule(Pace(10, 8, 1.0, 0, 10)), 0.0)
        found = jax.tree.map(lambda x: jax.random.normal(jax.random.key(1), x.shape), tree)
        turned_updates: Any = optimizer.update(found, optimizer.init(tree), tree)[0]
        updates: Any = unstack(turned_updates, CONFIG.n_layer)
        for block in updates["blocks"]:
            turned = np.linalg.svd(block["fc_in"], compute_uv=False)
            assert turned.max() / turned.min() < 2  # orthogonalised: singular values near another
        # Decay moves matrices only: without gradients nothing else changes.
        decaying = build(specs, "muon", schedule(Pace(10, 8, 1.0, 0, 10)), 0.1)
        still = jax.tree.map(jnp.zeros_like, tree)
        decay: Any = decaying.update(still, decaying.init(tree), tree)[0]
        moved: Any = unstack(decay, CONFIG.n_layer)
        assert not np.asarray(moved["ln_f"]["scale"]).any()
        assert not np.asarray(moved["blocks"][0]["fc_in_bias"]).any()
        for name in ("embedding", "lm_head"):
            np.testing.assert_allclose(moved[name], -0.1 * params[name], rtol=1e-5)
        np.testing.assert_allclose(
            moved["blocks"][0]["q"], -0.1 * params["blocks"][0]["q"], rtol=1e-5, atol=1e-8
        )
        adams = np.abs(updates["embedding"])  # Adam's first step: as large everywhere
        np.testing.assert_allclose(adams, adams.mean(), rtol=0.1)


def test_schedules():
    cosine = schedule(Pace(100, 8, 1e-3, 10, 80))
    assert float(np.asarray(cosine(0))) == 0
    assert float(np.asarray(cosine(10))) == pytest.approx(1e-3)
    assert float(np.asarray(cosine(45))) == pytest.approx(5.5e-4, rel=1e-3)  # half way down
    assert float(np.asarray(cosine(80))) == pytest.approx(1e-4)
    assert float(np.asarray(cosine(99))) == pytest.approx(1e-4)
    wsd = schedule(Pace(100, 8, 1e-3, 10, 100), "wsd")
    assert [round(float(np.asarray(wsd(n))) * 1e5) for n in (0, 5, 10, 79, 90, 100)] == [
        *(0, 50, 100, 100, 55, 10)
    ]
