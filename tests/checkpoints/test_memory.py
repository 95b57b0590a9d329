"""How much memory loading a full-size checkpoint takes, measured in a fresh process."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from jaxformer.model import RELEASED, count

SHAPE = RELEASED["350M"]
# Times the weights in the chosen dtype. Pages of libraries' code are not counted: how many a
# process maps differs by 17 MB between installations, by how their files lie in the page cache.
LIMIT = 1.25

SCRIPT = """
import json, re, sys, time
from pathlib import Path
start = time.monotonic()
import jax
import jaxformer as jf
def memory(what):  # not ru_maxrss, which a child inherits from the process that started it
    return 1024 * int(re.search(what + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
def peak():
    return memory("VmHWM")
stages = {"imports": peak()}
model = jf.load(sys.argv[1], dtype=sys.argv[2])
stages["load"] = peak()
[done] = jf.complete(model, "def hello():", max_new_tokens=8, temperature=1.0)
stages["complete"] = peak()
weights = sum(leaf.nbytes for leaf in jax.tree.leaves(model.params))
tokens = len(done.tokens)
seconds = time.monotonic() - start
print(json.dumps({"peak": peak(), "code": memory("RssFile"), "weights": weights,
                  "tokens": tokens, "stages": stages, "seconds": seconds}))
"""


def state_dict() -> dict[str, torch.Tensor]:
    """Return random float16 weights of the 350M shape, with the mask that old files carry."""
    d, inner, vocab = SHAPE.n_embd, SHAPE.inner_dim, SHAPE.vocab_size
    shapes = {
        "transformer.wte.weight": (vocab, d),
        "transformer.ln_f.weight": (d,),
        "transformer.ln_f.bias": (d,),
        "lm_head.weight": (vocab, d),
        "lm_head.bias": (vocab,),
    }
    for layer in range(SHAPE.n_layer):
        shapes |= {
            f"transformer.h.{layer}.{name}": shape
            for name, shape in {
                "ln_1.weight": (d,),
                "ln_1.bias": (d,),
                "attn.qkv_proj.weight": (3 * d, d),
                "attn.out_proj.weight": (d, d),
                "mlp.fc_in.weight": (inner, d),
                "mlp.fc_in.bias": (inner,),
                "mlp.fc_out.weight": (d, inner),
                "mlp.fc_out.bias": (d,),
            }.items()
        }
    noise = torch.randn(1_000_003, generator=torch.manual_seed(0)).mul_(0.02).half()
    state = {}
    for name, shape in shapes.items():  # repeated noise: drawing it all would take a minute
        size = torch.Size(shape).numel()
        state[name] = noise.repeat(size // len(noise) + 1)[:size].clone().view(shape)
    mask = torch.ones(SHAPE.n_positions, SHAPE.n_positions, dtype=torch.uint8).tril()
    return state | {"transformer.h.0.attn.causal_mask": mask.view(1, 1, *mask.shape)}


@pytest.fixture
def folder(tmp_path: Path, codegen_tokenizer_folder: Path) -> Iterator[Path]:
    folder = tmp_path / "full-size"
    shutil.copytree(codegen_tokenizer_folder, folder)
    config = SHAPE.model_dump() | {"model_type": "codegen"}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    yield folder
    shutil.rmtree(folder)


def measure(folder: Path, dtype: str) -> dict:
    command = [sys.executable, "-c", SCRIPT, str(folder), dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    figures["own"] = figures["peak"] - figures["code"]
    shares = {name: f"{figures[name] / figures['weights']:.3f}" for name in ("peak", "own")}
    print(f"{dtype}, times the weights: {shares};", figures)
    assert figures["tokens"] == 8
    named = count(SHAPE) * (4 if dtype == "float32" else 2)  # biases may be wider
    assert named <= figures["weights"] <= 1.002 * named
    return figures


def test_a_full_size_bin_needs_little_more_than_its_weights(folder):
    torch.save(state_dict(), folder / "pytorch_model.bin")
    figures = measure(folder, "float32")
    assert figures["own"] <= LIMIT * figures["weights"]
    measure(folder, "bfloat16")  # printed only: beside half the weights, JAX itself weighs more


def test_full_size_sharded_safetensors_need_little_more_than_their_weights(folder):
    state = state_dict()
    names, shards = list(state), {}
    for number in range(3):
        file = f"model-{number + 1:05}-of-00003.safetensors"
        shards |= dict.fromkeys(names[number::3], file)
        save_file({name: state[name].float() for name in names[number::3]}, folder / file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": shards}), "utf-8")
    del state
    figures = measure(folder, "float32")
    assert figures["own"] <= LIMIT * figures["weights"]
