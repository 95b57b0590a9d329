"""Checkpoint folders: written for transformers, read as PyTorch reads them, refused when broken."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import CodeGenConfig as TheirConfig
from transformers import CodeGenForCausalLM

import jaxformer as jf
from conftest import is_one_sentence
from jaxformer import UserError
from jaxformer.checkpoints import read_config, read_params, save_pretrained
from jaxformer.checkpoints.folder import open_tensors
from jaxformer.checkpoints.hub import find
from jaxformer.model import hidden, logits

TOKENS = np.random.default_rng(0).integers(0, 1000, (2, 48))


def our_logits(config, params) -> np.ndarray:
    states, _ = hidden(params, config, jnp.asarray(TOKENS), jnp.arange(48)[None].repeat(2, 0))
    return np.asarray(logits(params, states))


def their_logits(folder: Path) -> np.ndarray:
    theirs = CodeGenForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return theirs(torch.tensor(TOKENS)).logits.numpy()


@pytest.mark.parametrize(
    ("dtype", "shard_bytes"),
    [("float32", 10**9), ("float32", 50_000), ("bfloat16", 10**9), ("float16", 50_000)],
)
def test_transformers_loads_an_exported_folder_with_equal_logits(
    dtype, shard_bytes, random_model, tmp_path
):
    config, params, tokenizer = random_model.config, random_model.params, random_model.tokenizer
    save_pretrained(tmp_path, config, params, tokenizer, dtype=dtype, shard_bytes=shard_bytes)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 5) == (shard_bytes == 50_000)
    assert str(CodeGenForCausalLM.from_pretrained(tmp_path).dtype) == f"torch.{dtype}"
    want = their_logits(tmp_path)
    assert np.abs(want).max() > 1
    ours = read_params(tmp_path, read_config(tmp_path), "float32")
    assert np.abs(our_logits(config, ours) - want).max() <= 1e-4
    if dtype == "float32":
        assert np.abs(our_logits(config, params) - want).max() <= 1e-4


def test_a_new_export_replaces_an_older_one(random_model, tmp_path):
    config, tokenizer = random_model.config, random_model.tokenizer
    for shard_bytes in (10**9, 50_000, 10**9, 100_000):
        params = jax.tree.map(lambda x, n=shard_bytes: x + 1 / n, random_model.params)
        save_pretrained(tmp_path, config, params, tokenizer, shard_bytes=shard_bytes)
        again = read_params(tmp_path, config, "float32")
        assert all(jax.tree.leaves(jax.tree.map(np.array_equal, again, params)))


@pytest.fixture(scope="module")
def their_model() -> CodeGenForCausalLM:
    torch.manual_seed(0)
    config = TheirConfig(
        vocab_size=1100, n_positions=256, n_ctx=256, n_embd=64, n_head=4, n_layer=2, rotary_dim=8
    )
    model = CodeGenForCausalLM(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def plain(model: CodeGenForCausalLM) -> dict:
    return model.state_dict()  # an OrderedDict with an attribute, as the released files hold


def with_buffers(model: CodeGenForCausalLM) -> dict:
    mask = torch.ones(1, 1, 256, 256).tril()
    return model.state_dict() | {
        "transformer.h.0.attn.causal_mask": mask.bool(),
        "transformer.h.1.attn.causal_mask": mask.byte(),
        "transformer.h.0.attn.masked_bias": torch.tensor(-1e9),
        "position_ids": torch.arange(256),
        "nothing": torch.empty(0, 3),
        "steps": 7,
    }


def of_parameters(model: CodeGenForCausalLM) -> dict:
    return {name: torch.nn.Parameter(value) for name, value in model.state_dict().items()}


def not_contiguous(model: CodeGenForCausalLM) -> dict:
    def transposed(value: torch.Tensor) -> torch.Tensor:
        return value.t().contiguous().t() if value.ndim == 2 else value

    return {name: transposed(value) for name, value in model.state_dict().items()}


def in_one_storage(model: CodeGenForCausalLM) -> dict:
    state = model.state_dict()
    whole = torch.cat([value.flatten() for value in state.values()])
    pieces = whole.split([value.numel() for value in state.values()])
    return {
        name: piece.view(value.shape)
        for (name, value), piece in zip(state.items(), pieces, strict=True)
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("sharded", [False, True], ids=["single", "sharded"])
@pytest.mark.parametrize(
    "form", [plain, with_buffers, of_parameters, not_contiguous, in_one_storage]
)
def test_a_bin_file_reads_as_torch_reads_it(form, sharded, dtype, their_model, tmp_path):
    model = CodeGenForCausalLM(their_model.config).to(dtype)
    model.load_state_dict(their_model.state_dict())
    model.config.save_pretrained(tmp_path)
    state = form(model)
    if sharded:
        names, shards = list(state), {}
        for number in (1, 2):
            file = f"pytorch_model-{number:05}-of-00002.bin"
            torch.save({name: state[name] for name in names[number - 1 :: 2]}, tmp_path / file)
            shards |= dict.fromkeys(names[number - 1 :: 2], file)
        index = {"metadata": {"total_size": 0}, "weight_map": shards}
        (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index), "utf-8")
    else:
        torch.save(state, tmp_path / "pytorch_model.bin")

    read = open_tensors(tmp_path)
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    assert read.keys() == tensors.keys()
    for name, value in tensors.items():
        got = read[name]()
        assert str(value.dtype) == f"torch.{got.dtype}"
        assert got.shape == tuple(value.shape), name
        assert np.array_equal(got.astype(np.float64), value.detach().double().numpy()), name

    config = read_config(tmp_path)
    with torch.no_grad():
        want = model.float()(torch.tensor(TOKENS)).logits.numpy()
    got = our_logits(config, read_params(tmp_path, config, "float32"))
    assert np.abs(got - want).max() <= 1e-4 * max(1, np.abs(want).max())


# Broken folders


@pytest.fixture
def folder(random_folder, tmp_path) -> Path:
    return shutil.copytree(random_folder, tmp_path / "model")


@pytest.fixture
def bin_folder(folder) -> Path:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    jf.load(str(folder))
    return folder


def refusal(folder: Path, naming: str = "") -> str:
    with pytest.raises(UserError) as caught:
        jf.load(str(folder))
    message = str(caught.value)
    assert is_one_sentence(message), message
    assert str(folder / naming) in message
    return message


def truncate(path: Path, keep: float) -> None:
    os.truncate(path, int(path.stat().st_size * keep))


def rezip(path: Path, change, compression: int = zipfile.ZIP_STORED) -> None:
    """Write a zip anew with its members' bytes changed."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", compression) as new:
        for name, content in members.items():
            new.writestr(name, change(name, content))


@pytest.mark.parametrize("keep", [0, 1e-5, 0.001, 0.5, 0.999])
def test_a_truncated_safetensors_file_is_refused(keep, folder):
    truncate(folder / "model.safetensors", keep)
    assert "truncated" in refusal(folder, "model.safetensors")


@pytest.mark.parametrize("keep", [0, 0.001, 0.5, 0.999])
def test_a_truncated_bin_is_refused(keep, bin_folder):
    truncate(bin_folder / "pytorch_model.bin", keep)
    assert "truncated" in refusal(bin_folder, "pytorch_model.bin")


def evil_dict(call):
    class Evil:
        def __reduce__(self):
            return call

    return {"transformer.wte.weight": Evil()}


@pytest.mark.parametrize("function", [os.system, eval, exec, subprocess.check_output])
def test_a_malicious_pickle_is_refused_and_not_run(function, bin_folder, tmp_path):
    canary = tmp_path / "canary"
    code = {eval: f"open({str(canary)!r}, 'w')", exec: f"open({str(canary)!r}, 'w')"}
    argument = ["touch", str(canary)] if function is subprocess.check_output else f"touch {canary}"
    evil = evil_dict((function, (code.get(function, argument),)))
    torch.save(evil, bin_folder / "pytorch_model.bin")
    message = refusal(bin_folder, "pytorch_model.bin")
    assert "refused" in message
    assert function.__name__ in message
    assert not canary.exists()
    torch.load(bin_folder / "pytorch_model.bin", weights_only=False)
    assert canary.exists()  # PyTorch itself would have run it


def test_a_bin_older_than_zip_files_is_refused(bin_folder):
    path = bin_folder / "pytorch_model.bin"
    state = torch.load(path)
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert "older" in refusal(bin_folder, path.name)


def test_a_compressed_bin_is_refused(bin_folder):
    path = bin_folder / "pytorch_model.bin"
    rezip(path, lambda _, content: content, zipfile.ZIP_DEFLATED)
    assert "compressed" in refusal(bin_folder, path.name)


def test_a_tensor_that_reaches_outside_its_storage_is_refused(bin_folder):
    path = bin_folder / "pytorch_model.bin"
    rezip(path, lambda name, content: content[:-4] if name.endswith("data/0") else content)
    assert "outside" in refusal(bin_folder, path.name)


def test_a_big_endian_bin_is_refused(bin_folder):
    path = bin_folder / "pytorch_model.bin"
    rezip(path, lambda name, content: b"big" if name.endswith("byteorder") else content)
    assert "byte order" in refusal(bin_folder, path.name)


def test_a_bin_that_holds_no_dictionary_is_refused(bin_folder):
    torch.save([torch.ones(2)], bin_folder / "pytorch_model.bin")
    refusal(bin_folder, "pytorch_model.bin")


def test_a_bin_damaged_anywhere_is_read_or_refused_but_never_crashes(bin_folder):
    path = bin_folder / "pytorch_model.bin"
    state = {"weight": torch.ones(3, 2), "bias": torch.nn.Parameter(torch.zeros(2))}
    torch.save(state, path)
    sound, rng = path.read_bytes(), np.random.default_rng(0)
    refusals = []
    for _ in range(1500):
        damaged = bytearray(sound)
        for place in rng.integers(0, len(sound), rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            for read in open_tensors(bin_folder).values():
                read().sum()
        except UserError as error:
            refusals.append(str(error))
    assert len(refusals) > 50
    for message in refusals:
        assert is_one_sentence(message), message
        assert str(path) in message


@pytest.mark.parametrize("kind", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize(
    ("name", "wanted"),
    [("../evil", "outside"), ("/etc/passwd", "outside"), ("..", "missing"), ("absent", "missing")],
)
def test_an_index_that_names_strange_files_is_refused(kind, name, wanted, folder):
    (folder / "model.safetensors").rename(folder.parent / "evil")
    index = folder / f"{kind}.index.json"
    index.write_text(json.dumps({"weight_map": {"lm_head.weight": name}}), "utf-8")
    assert wanted in refusal(folder, index.name if wanted == "outside" else name)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}', '{"weight_map": {"a"']
)
def test_a_damaged_index_is_refused(text, folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(text, "utf-8")
    refusal(folder)


def test_weights_that_do_not_fit_are_refused(bin_folder):
    path = bin_folder / "pytorch_model.bin"
    state = torch.load(path)
    name = "transformer.h.1.attn.out_proj.weight"
    torch.save(state | {name: torch.ones(64, 63)}, path)
    message = refusal(bin_folder)
    assert name in message
    assert "[64, 63], not [64, 64]" in message
    del state[name]
    torch.save(state, path)
    assert f"lack the tensor {name}" in refusal(bin_folder)
    path.unlink()
    assert "no weights" in refusal(bin_folder)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"model_type": "gpt2"}, "'gpt2', not 'codegen'"),
        ({"model_type": None}, "not 'codegen'"),
        ({"n_head": 3}, "n_head 3"),
        ({"n_head": 0}, "n_head must be positive"),
        ({"n_layer": "two"}, "n_layer"),
        ({"n_layer": None}, "n_layer"),
        ({"rotary_dim": 7}, "rotary_dim 7"),
        ({"rotary_dim": 18}, "rotary_dim 18"),
        ({"vocab_size": -1}, "vocab_size must be positive"),
        ({"activation_function": "relu"}, "activation_function"),
        ({"tie_word_embeddings": True}, "tie_word_embeddings"),
    ],
)
def test_an_impossible_configuration_is_refused(change, wanted, folder):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    assert wanted in refusal(folder, "config.json")


@pytest.mark.parametrize("content", [b"", b'{"model_type": "codeg', b"[1]", b"\xff\xfe", b"null"])
def test_a_configuration_that_is_no_json_object_is_refused(content, folder):
    (folder / "config.json").write_bytes(content)
    refusal(folder, "config.json")


def test_a_folder_without_configuration_is_refused(folder):
    (folder / "config.json").unlink()
    assert "config.json" in refusal(folder)


def test_a_tokenizer_larger_than_the_model_is_refused(folder):
    path = folder / "config.json"
    changed = json.loads(path.read_text("utf-8")) | {"vocab_size": 1000}
    path.write_text(json.dumps(changed), "utf-8")
    assert "1024" in refusal(folder)


def test_an_unknown_dtype_and_an_impossible_layout_are_refused(folder):
    for load in (partial(jf.load, dtype="int3"), partial(jf.load, mp_num=3)):
        with pytest.raises(UserError) as caught:
            load(str(folder))
        assert is_one_sentence(str(caught.value))


def test_a_wrong_bos_id_is_put_right_with_a_note(folder):
    assert jf.load(str(folder)).notes == ()
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"bos_token_id": 1}), "utf-8")
    model = jf.load(str(folder))
    assert model.config.bos_token_id == model.config.eos_token_id == model.tokenizer.eos_token_id
    [note] = model.notes
    assert "bos 1" in note
    assert str(model.tokenizer.eos_token_id) in note


# Names


@pytest.mark.parametrize("name", ["no-such-folder", "a/b/c", "./missing", "../x", "a b/c"])
def test_a_name_that_is_neither_folder_nor_repository_is_refused(name):
    with pytest.raises(UserError) as caught:
        find(name)
    assert is_one_sentence(str(caught.value))
    assert name in str(caught.value)


def test_a_file_is_no_model(folder):
    with pytest.raises(UserError) as caught:
        find(str(folder / "config.json"))
    assert "is a file" in str(caught.value)


def test_offline_with_an_empty_cache_says_so(tmp_path):
    code = (
        "from jaxformer.checkpoints.hub import find\nfrom jaxformer import UserError\n"
        "try: find('Salesforce/codegen-350M-mono')\n"
        "except UserError as error: print(error)\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    message = done.stdout.removesuffix("\n")
    assert is_one_sentence(message), message
    assert "Salesforce/codegen-350M-mono" in message
    assert "cannot be reached" in message
