"""Quantised weights in files: what other software reads, and what was quantised, bit for bit."""

import json
import shutil

import jax
import numpy as np
import pytest
import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32
from hypothesis import given
from hypothesis import strategies as st
from transformers import CodeGenForCausalLM

import jaxformer as jf
from conftest import is_one_sentence
from jaxformer.checkpoints import save_pretrained
from jaxformer.checkpoints.compressed import pack, unpack
from jaxformer.checkpoints.export import export
from jaxformer.model import CodeGenConfig, Params, init, native
from jaxformer.model.quantisation import Quantised, dequantise

BITS = {"int8": 8, "int4": 4}


@given(st.sampled_from([4, 8]), st.integers(1, 5), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_integers_are_packed_as_compressed_tensors_packs_them(bits, rows, columns, seed):
    low, high = -(1 << (bits - 1)), 1 << (bits - 1)
    values = np.random.default_rng(seed).integers(low, high, (rows, columns)).astype(np.int8)
    ours = pack(values, np.ones((rows, 1), np.float32), bits)["packed"]
    np.testing.assert_array_equal(ours, pack_to_int32(torch.from_numpy(values), bits).numpy())
    np.testing.assert_array_equal(unpack(ours, columns, bits), values)
    theirs = unpack_from_int32(torch.from_numpy(ours.copy()), bits, torch.Size(values.shape))
    np.testing.assert_array_equal(theirs.numpy(), values)


@pytest.fixture(scope="module", params=["int8", "int4"])
def saved(request, random_folder, tmp_path_factory):
    """A folder of quantised weights."""
    folder = tmp_path_factory.mktemp("quantised") / request.param
    assert export(str(random_folder), folder, request.param) == 0
    assert [path.name for path in folder.parent.iterdir()] == [request.param]
    return request.param, folder


def seen(model: jf.Model) -> Params:
    """A model's parameters; of rows that stay in a file, in its dtype, what is looked up."""
    params = model.params
    if not native.is_packed(params):
        return params
    return params | {"embedding": params["embedding"][np.arange(model.config.vocab_size)]}


@pytest.mark.parametrize("packed", [True, False], ids=["kernels", "plain"])
def test_a_saved_model_is_the_one_that_was_quantised_on_loading(saved, random_folder, packed):
    dtype, folder = saved
    whole, again = (
        seen(jf.load(str(name), dtype=dtype, packed=packed)) for name in (random_folder, folder)
    )
    assert jax.tree.structure(whole) == jax.tree.structure(again)
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(again), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_in_another_dtype_the_integers_are_multiplied_out(saved):
    dtype, folder = saved
    kept = jf.load(str(folder), dtype=dtype, packed=False).params
    wide = jf.load(str(folder), dtype="float32", packed=False).params
    matrix = kept["blocks"][1]["fc_out"]
    assert isinstance(matrix, Quantised)
    np.testing.assert_array_equal(dequantise(matrix), wide["blocks"][1]["fc_out"])


def test_transformers_reads_it(saved):
    dtype, folder = saved
    peer = CodeGenForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model = jf.load(str(folder), dtype="float32")
    text = "def f(a):\n    return a + 1\n"
    ids = model.tokenizer.encode(text)
    with torch.no_grad():
        theirs = peer(torch.tensor([ids])).logits.log_softmax(-1)[0]
    want = [theirs[i, token].item() for i, token in enumerate(ids[1:])]
    [scored] = jf.score(model, [text])
    # Its scales of four bits are multiplied out in half precision.
    found = np.array(scored.logprobs[1:], float)
    np.testing.assert_allclose(found, want, atol=2e-3 if dtype == "int8" else 5e-2)


def test_the_file_is_as_small_as_it_should_be(tmp_path, small_tokenizer):
    config = CodeGenConfig(
        vocab_size=1100, n_positions=64, n_embd=256, n_layer=4, n_head=4, rotary_dim=8
    )
    params = init(config, jax.random.key(0))
    sizes = {}
    for dtype in ("float32", "int8", "int4"):
        save_pretrained(tmp_path / dtype, config, params, small_tokenizer, dtype=dtype)
        sizes[dtype] = (tmp_path / dtype / "model.safetensors").stat().st_size
    assert sizes["int8"] < 0.29 * sizes["float32"]
    assert sizes["int4"] < 0.19 * sizes["float32"]


def test_several_files_and_odd_widths(tmp_path, small_tokenizer):
    """Widths that no word of the packed form divides, in shards, with eight parts of heads."""
    config = CodeGenConfig(
        vocab_size=1101, n_positions=64, n_embd=40, n_layer=2, n_head=8, rotary_dim=2, n_inner=52
    )
    params = init(config, jax.random.key(0))
    save_pretrained(tmp_path / "plain", config, params, small_tokenizer, mp_num=8)
    for dtype in BITS:
        save_pretrained(
            tmp_path / dtype, config, params, small_tokenizer,
            dtype=dtype, mp_num=8, shard_bytes=20_000,
        )  # fmt: skip
        assert len(list((tmp_path / dtype).glob("model-*.safetensors"))) > 2
        for packed in (True, False):
            want, found = (
                seen(jf.load(str(tmp_path / name), dtype=dtype, mp_num=8, packed=packed))
                for name in ("plain", dtype)
            )
            jax.tree.map(np.testing.assert_array_equal, want, found)


def test_weights_that_are_quantised_otherwise_are_refused(saved, tmp_path):
    _, folder = saved
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    raw = json.loads((folder / "config.json").read_text("utf-8"))
    changes = [
        {"quant_method": "gptq"},
        {"format": "int-quantized"},
        {"ignore": ["lm_head"]},
        {"config_groups": {}},
        {"config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 3}}}},
        {"kv_cache_scheme": {"num_bits": 8}},
    ]
    for change in changes:
        config = raw | {"quantization_config": raw["quantization_config"] | change}
        (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
        with pytest.raises(jf.UserError) as caught:
            jf.load(str(tmp_path))
        assert "quantised" in str(caught.value)
        assert is_one_sentence(str(caught.value))


def test_a_model_that_the_layout_cannot_hold_is_not_exported(tmp_path, small_tokenizer):
    """Three heads do not divide into transformers' four parts."""
    config = CodeGenConfig(
        vocab_size=1100, n_positions=64, n_embd=24, n_layer=1, n_head=3, rotary_dim=4
    )
    params = jax.tree.map(lambda x: 9 * x, init(config, jax.random.key(0)))
    save_pretrained(tmp_path / "three", config, params, small_tokenizer, mp_num=1)
    with pytest.raises(jf.UserError) as caught:
        export(str(tmp_path / "three"), tmp_path / "out", "float32")
    assert is_one_sentence(str(caught.value))
    assert [path.name for path in tmp_path.iterdir()] == ["three"]
