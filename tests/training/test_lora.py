"""LoRA: beside the matrices, merged into them, and in PEFT's hands, the same function."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import peft
import pytest
import safetensors.numpy
import torch
import transformers

import jaxformer as jf
from conftest import is_one_sentence
from jaxformer.checkpoints import read_config, read_params
from jaxformer.checkpoints.peft import MATRICES, Matrix, load_adapter, save_adapter
from jaxformer.model import CodeGenConfig, hidden, logits, parameters, sharding
from jaxformer.model.forward import matmul
from jaxformer.strict import read_toml
from jaxformer.training.lora import (
    Adapted,
    LoRA,
    attach,
    init,
    merge,
    multiply_adapted,
    table,
)

CONFIG = CodeGenConfig(vocab_size=300, n_embd=32, n_layer=2, n_head=4, rotary_dim=8)
TOKENS = np.random.default_rng(0).integers(0, 300, (2, 24))


def settings(rank: int, *matrices: Matrix, alpha: float = 16) -> LoRA:
    return LoRA(rank=rank, alpha=alpha, matrices=matrices)


SETTINGS = [
    settings(4, "q", "v"),
    settings(3, "v", "k", "q", alpha=0.1),
    settings(1, "k", alpha=2),
    settings(2, "fc_out", "out", alpha=5),
    settings(5, *MATRICES, alpha=7),
]


def named(lora: LoRA) -> str:
    return f"{lora.rank}-{'-'.join(lora.matrices)}"


def scores(params, config, multiply: Any = matmul) -> jax.Array:
    positions = jnp.arange(TOKENS.shape[1])[None].repeat(len(TOKENS), 0)
    states, _ = hidden(params, config, jnp.asarray(TOKENS), positions, multiply=multiply)
    return logits(params, states)


def random_adapters(config: CodeGenConfig, lora: LoRA, size: float = 0.3):
    """Adapters that change the model a good deal; no factor is zero."""
    leaves, treedef = jax.tree.flatten(init(config, lora, jax.random.key(1)))
    keys = jax.random.split(jax.random.key(2), len(leaves))
    return treedef.unflatten(
        [size * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    )


@pytest.fixture(scope="module")
def params():
    return jax.tree.map(lambda x: 4 * x, parameters.init(CONFIG, jax.random.key(0)))


@pytest.mark.parametrize("lora", SETTINGS, ids=named)
@pytest.mark.parametrize("arrange", [dict, parameters.stack], ids=["list", "stacked"])
def test_beside_the_weights_equals_merged_into_them(lora, arrange, params):
    adapters = random_adapters(CONFIG, lora)
    expected = {"blocks": [dict(block) for block in params["blocks"]]}  # by hand, in float64
    for block, pairs in zip(expected["blocks"], adapters["blocks"], strict=True):
        for name in lora.matrices:
            a, b = (np.asarray(pairs[name][factor], np.float64) for factor in "ab")
            block[name] = jnp.asarray(np.asarray(block[name]) + lora.alpha / lora.rank * a @ b)
    expected = scores(params | expected, CONFIG)
    base, adapters = arrange(params), arrange(adapters)
    beside = scores(attach(base, adapters), CONFIG, multiply_adapted(matmul, lora.scale))
    merged = scores(merge(base, adapters, lora), CONFIG)
    np.testing.assert_allclose(beside, expected, atol=2e-4)
    np.testing.assert_allclose(merged, expected, atol=2e-4)
    assert np.abs(expected - scores(params, CONFIG)).max() > 0.1


def test_fresh_adapters_change_nothing(params):
    lora = settings(8, *MATRICES)
    adapters = init(CONFIG, lora, jax.random.key(0))
    got = scores(attach(params, adapters), CONFIG, multiply_adapted(matmul, lora.scale))
    np.testing.assert_array_equal(got, scores(params, CONFIG))
    for leaf, same in zip(
        *map(jax.tree.leaves, (merge(params, adapters, lora), params)), strict=True
    ):
        np.testing.assert_array_equal(leaf, same)
    for pair in (pair for block in adapters["blocks"] for pair in block.values()):
        assert np.std(pair["a"]) * np.sqrt(len(pair["a"])) == pytest.approx(1, rel=0.2)
    a = [block[name]["a"] for block in adapters["blocks"] for name in ("q", "k")]
    assert len({float(x[0, 0]) for x in a}) == 4  # each drawn by itself


@pytest.mark.parametrize("arrange", [dict, parameters.stack], ids=["list", "stacked"])
def test_gradients_are_those_through_the_merged_weights(arrange, params):
    lora = settings(3, "q", "out", "fc_in", "fc_out", alpha=5)
    base, adapters = arrange(params), arrange(random_adapters(CONFIG, lora, 0.1))
    multiply = multiply_adapted(matmul, lora.scale)

    def value(scores):
        return jax.nn.log_softmax(scores)[..., 7].mean()

    got = jax.jit(jax.grad(lambda x: value(scores(attach(base, x), CONFIG, multiply))))(adapters)
    want = jax.jit(jax.grad(lambda x: value(scores(merge(base, x, lora), CONFIG))))(adapters)
    assert jax.tree.structure(got) == jax.tree.structure(adapters)
    for ours, exact in zip(*map(jax.tree.leaves, (got, want)), strict=True):
        assert np.abs(exact).max() > 1e-5
        np.testing.assert_allclose(ours, exact, atol=2e-3 * np.abs(exact).max())


def test_frozen_products_stay_one_call_and_the_function_is_the_same():
    calls = []

    def counted(x, weights):
        calls.append(len(weights))
        return matmul(x, weights)

    assert multiply_adapted(counted, 2.0) is multiply_adapted(counted, 2.0)
    assert multiply_adapted(counted, 2.0) is not multiply_adapted(counted, 3.0)
    x, w = jnp.ones((1, 2, 4)), jnp.eye(4)
    adapted = Adapted(w, jnp.ones((4, 1)), jnp.ones((1, 4)))
    plain, changed = multiply_adapted(counted, 2.0)(x, [w, adapted])
    assert calls == [2]
    np.testing.assert_array_equal(plain, x)
    np.testing.assert_array_equal(changed, x + 8)


def test_products_are_in_the_activations_dtype_and_gradients_in_the_adapters():
    x = jnp.ones((1, 2, 4096), jnp.bfloat16)
    base = jnp.zeros((4096, 4), jnp.bfloat16)
    multiply = multiply_adapted(matmul, 1.0)

    def value(a, b):
        [y] = multiply(x, [Adapted(base, a, b)])
        assert y.dtype == jnp.bfloat16
        return y.astype(jnp.float32).sum()

    factors = jnp.ones((4096, 2)), jnp.ones((2, 4))
    assert value(*factors) == 8 * 8192  # a sum in bfloat16 would end at 256
    gradient = jax.grad(value, (0, 1))
    assert all(g.dtype == jnp.float32 for g in gradient(*factors))
    products = [e for e in jax.make_jaxpr(gradient)(*factors).eqns if "dot" in e.primitive.name]
    assert len(products) >= 6
    assert {v.aval.dtype for e in products for v in e.invars} == {jnp.dtype(jnp.bfloat16)}  # pyright: ignore


def test_what_the_inner_products_come_out_as_stays():
    def narrow(x, weights):
        return [y.astype(jnp.bfloat16) for y in matmul(x, weights)]

    w = Adapted(jnp.ones((4, 3)), jnp.ones((4, 1)), jnp.ones((1, 3)))
    [y] = multiply_adapted(narrow, 1.0)(jnp.ones((1, 2, 4)), [w])
    assert y.dtype == jnp.bfloat16


def test_merged_weights_keep_the_dtype_of_the_base(params):
    lora = settings(2, "q", "v")
    base = jax.tree.map(lambda x: x.astype(jnp.bfloat16), params)
    adapters = random_adapters(CONFIG, lora)
    merged = merge(base, adapters, lora)
    assert {leaf.dtype for leaf in jax.tree.leaves(merged)} == {jnp.dtype(jnp.bfloat16)}
    pair = adapters["blocks"][1]["q"]
    exact = base["blocks"][1]["q"].astype(np.float32) + 8 * (pair["a"] @ pair["b"])
    off = np.abs(merged["blocks"][1]["q"].astype(np.float32) - exact)
    assert (off <= np.abs(exact) * 2**-8).all()  # rounded once, at the end


def test_the_tables_describe_the_adapters():
    lora = settings(3, "k", "out", "fc_in", "fc_out")
    adapters = init(CONFIG, lora, jax.random.key(0))
    for specs, tree in (
        (table(CONFIG, lora), adapters),
        (parameters.stack_specs(table(CONFIG, lora)), parameters.stack(adapters)),
    ):
        shapes = jax.tree.map(lambda spec: spec.shape, specs, is_leaf=parameters.is_spec)
        assert shapes == jax.tree.map(lambda leaf: leaf.shape, tree)
        leaves = jax.tree.leaves(specs, is_leaf=parameters.is_spec)
        assert all(spec.is_matrix and len(spec.axes) == len(spec.shape) for spec in leaves)
        placed = sharding.shardings(specs, sharding.make_mesh((1, 1, 1), jax.devices()[:1]))
    pair = table(CONFIG, lora)["blocks"][0]["fc_out"]
    assert (pair["a"].axes, pair["b"].axes) == (("mlp", "lora"), ("lora", "embed"))
    assert placed["blocks"]["fc_out"]["a"].spec == sharding.partition(("layers", "mlp", "lora"))


@pytest.mark.parametrize("lora", SETTINGS, ids=named)
def test_peft_computes_the_same_from_our_folder(lora, random_folder, tmp_path):
    config = read_config(random_folder)
    base = read_params(random_folder, config, "float32")
    adapters = random_adapters(config, lora, 0.1)
    save(tmp_path, config, adapters, lora)
    theirs = torch_logits(peft_model(random_folder, tmp_path))
    np.testing.assert_allclose(theirs, scores(merge(base, adapters, lora), config), atol=2e-3)
    assert np.abs(theirs - scores(base, config)).max() > 0.1

    read, *known = load_adapter(tmp_path, config)
    assert known == [lora.rank, lora.alpha, lora.matrices]
    assert jax.tree.structure(read) == jax.tree.structure(adapters)
    for got, written in zip(*map(jax.tree.leaves, (read, adapters)), strict=True):
        np.testing.assert_array_equal(got, written)


@pytest.mark.parametrize("mp_num", [1, 2])
def test_fresh_adapters_and_other_layouts_come_back(mp_num, tmp_path):
    lora = settings(2, "k", "v")
    for adapters in (init(CONFIG, lora, jax.random.key(0)), random_adapters(CONFIG, lora)):
        save(tmp_path, CONFIG, adapters, lora, mp_num=mp_num)
        read, *_, matrices = load_adapter(tmp_path, CONFIG, mp_num)
        assert matrices == ("k", "v")
        for got, written in zip(*map(jax.tree.leaves, (read, adapters)), strict=True):
            np.testing.assert_array_equal(got, written)


def test_stacked_adapters_are_written_the_same(tmp_path):
    lora = settings(2, "q", "k", "fc_in")
    adapters = random_adapters(CONFIG, lora)
    save(tmp_path / "list", CONFIG, adapters, lora)
    save(tmp_path / "stacked", CONFIG, parameters.stack(adapters), lora)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        one, other = ((tmp_path / way / name).read_bytes() for way in ("list", "stacked"))
        assert one == other


@pytest.mark.parametrize(
    "options",
    [
        {"r": 3, "lora_alpha": 6, "target_modules": ["qkv_proj"]},
        {"r": 2, "lora_alpha": 5, "target_modules": ["qkv_proj", "fc_out", "out_proj"]},
        {"r": 9, "target_modules": ["fc_in"], "rank_pattern": {"mlp.fc.*": 4}},
    ],
    ids=["fused", "several", "pattern"],
)
def test_what_peft_wrote_is_read(options, random_folder, tmp_path):
    theirs: Any = peft.get_peft_model(
        transformers.CodeGenForCausalLM.from_pretrained(random_folder),
        peft.LoraConfig(task_type="CAUSAL_LM", **options),
    )
    torch.manual_seed(0)
    for name, weight in theirs.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.1)
    theirs.save_pretrained(tmp_path)
    config = read_config(random_folder)
    adapters, rank, alpha, matrices = load_adapter(tmp_path, config)
    lora = LoRA(rank=rank, alpha=alpha, matrices=matrices)
    base = read_params(random_folder, config, "float32")
    ours = scores(merge(base, adapters, lora), config)
    np.testing.assert_allclose(torch_logits(theirs), ours, atol=2e-3)
    assert np.abs(ours - scores(base, config)).max() > 0.1


def save(folder: Path, config: CodeGenConfig, adapters, lora: LoRA, **more) -> None:
    known = lora.model_dump(include={"rank", "alpha", "matrices"})
    save_adapter(folder, config, adapters, **known, base_name="base", **more)


def peft_model(base: Path, folder: Path):
    model = transformers.CodeGenForCausalLM.from_pretrained(base)
    return peft.PeftModel.from_pretrained(model, folder)


@torch.no_grad()
def torch_logits(model) -> np.ndarray:
    return model.eval()(torch.tensor(TOKENS)).logits.numpy()


def change_json(key: str, value: Any):
    def change(folder: Path) -> None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

    return change


def change_tensors(change, metadata: dict[str, str] | None = None):
    def rewrite(folder: Path) -> None:
        path = folder / "adapter_model.safetensors"
        tensors = safetensors.numpy.load_file(path)
        change(tensors)
        safetensors.numpy.save_file(tensors, path, metadata or {"matrices": "q,v,fc_in"})

    return rewrite


def truncate(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


B = "base_model.model.transformer.h.1.mlp.fc_in.lora_B.weight"


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda f: (f / "adapter_config.json").unlink(), "no adapter folder"),
        (lambda f: (f / "adapter_config.json").write_text("{"), "adapter_config.json"),
        (lambda f: (f / "adapter_model.safetensors").unlink(), "save the adapter as safetensors"),
        (truncate, "truncated"),
        (change_json("peft_type", "LOHA"), "peft_type"),
        (change_json("use_rslora", True), "use_rslora"),
        (change_json("init_lora_weights", "pissa"), "init_lora_weights"),
        (change_json("r", 3), "a rank and alpha of its own"),
        (change_json("alpha_pattern", {}), "attn.qkv_proj a rank and alpha of its own"),
        (change_json("rank_pattern", {"(": 4}), "regular expression"),
        (change_tensors(lambda t: t.pop(B)), f"lacks the tensor {B}"),
        (change_tensors(lambda t: t.update({B: t[B][:, :1].copy()})), "not \\[128, 2\\]"),
        (change_tensors(lambda t: t.update({"extra": t[B]})), "holds extra"),
        (change_tensors(dict.clear, {"format": "pt"}), "adapts no matrix"),
        (change_tensors(lambda _: None, {"format": "pt"}), "a rank and alpha of its own"),
    ],
)
def test_damaged_and_foreign_folders_are_named(damage, complaint, tmp_path):
    lora = settings(2, "q", "v", "fc_in")
    save(tmp_path, CONFIG, random_adapters(CONFIG, lora), lora)
    load_adapter(tmp_path, CONFIG)
    damage(tmp_path)
    with pytest.raises(jf.UserError, match=complaint) as caught:
        load_adapter(tmp_path, CONFIG)
    assert str(tmp_path) in str(caught.value)
    assert is_one_sentence(str(caught.value))


def test_heads_that_the_layout_does_not_divide_are_refused(tmp_path):
    lora = settings(2, "q", "v")
    adapters = init(CONFIG, lora, jax.random.key(0))
    with pytest.raises(jf.UserError, match="4 heads cannot be laid out in 8 parts"):
        save(tmp_path, CONFIG, adapters, lora, mp_num=8)
    save(tmp_path, CONFIG, adapters, lora)
    with pytest.raises(jf.UserError, match="4 heads cannot be laid out in 8 parts"):
        load_adapter(tmp_path, CONFIG, 8)


def test_the_rank_is_enough(tmp_path):
    (tmp_path / "lora.toml").write_text("rank = 4")
    lora = read_toml(tmp_path / "lora.toml", LoRA)
    assert (lora, lora.merge, lora.scale) == (settings(4, "q", "v"), True, 4)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "rank"),
        ("rank = 0", "rank"),
        ("rank = 4\nalpha = 0", "alpha"),
        ("rank = 4\nalpha = inf", "alpha"),
        ("rank = 4\nmatrices = []", "matrices"),
        ("rank = 4\nmatrices = ['q', 'w']", "matrices.*'fc_in'"),
        ("rank = 4\nmatrices = ['q', 'v', 'q']", "matrices names one twice: q, v, q"),
        ("rank = 4\nalhpa = 3", "alhpa.*did you mean alpha"),
    ],
)
def test_bad_settings_are_named(text, complaint, tmp_path):
    path = tmp_path / "lora.toml"
    path.write_text(text)
    with pytest.raises(jf.UserError, match=complaint):
        read_toml(path, LoRA)
