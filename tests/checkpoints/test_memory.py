"""How much memory loading a full-size checkpoint takes, measured in a fresh process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from jaxformer.model import RELEASED, count

SHAPE = RELEASED["350M"]
BYTES = {"float32": 4, "bfloat16": 2}
LIMIT = {"float32": 1.05, "bfloat16": 1.15}
"""Times the weights in the chosen dtype. Mapped libraries are not counted, at the end of the run:
how many of their pages a process has differs with how they lie in the page cache. With them it is
1.1 and 1.3.
"""

SCRIPT = """
import json, re, sys, time
from pathlib import Path
start = time.monotonic()
from jaxformer.cli import compiled
compiled.keep()
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
seconds = time.monotonic() - start
leaves = jax.tree.leaves({name: x for name, x in model.params.items() if name != "embedding"})
print(json.dumps({"peak": peak(), "mapped": memory("RssFile"), "tokens": len(done.tokens),
                  "weights": sum(leaf.nbytes for leaf in leaves),
                  "stages": stages, "seconds": seconds}))
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


@pytest.fixture
def measure(folder: Path, tmp_path: Path) -> Callable[[str], dict[str, float]]:
    """Return a function that measures a start, and keeps what is compiled for the next."""

    def measured(dtype: str) -> dict[str, float]:
        command = [sys.executable, "-c", SCRIPT, str(folder), dtype]
        kept = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ | kept
        )
        figures = json.loads(done.stdout)
        assert figures["tokens"] == 8
        weights = BYTES[dtype] * count(SHAPE)
        read = weights - BYTES[dtype] * SHAPE.vocab_size * SHAPE.n_embd  # the embedding is not
        assert read <= figures["weights"] <= 1.002 * read  # biases may be wider
        own = figures["peak"] - figures["mapped"]
        shares = {"peak": figures["peak"] / weights, "own": own / weights}
        print(f"{dtype}, times the weights: {shares};", figures)
        return shares

    return measured


@pytest.fixture(params=["bin", "safetensors"])
def weights(request, folder: Path) -> None:
    """Random weights of the folder: float16 in one file, or float32 in three."""
    state = state_dict()
    if request.param == "bin":
        torch.save(state, folder / "pytorch_model.bin")
        return
    names, shards = list(state), {}
    for number in range(3):
        file = f"model-{number + 1:05}-of-00003.safetensors"
        shards |= dict.fromkeys(names[number::3], file)
        save_file({name: state[name].float() for name in names[number::3]}, folder / file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": shards}), "utf-8")


@pytest.mark.usefixtures("weights")
def test_a_full_size_checkpoint_needs_little_more_than_its_weights(measure):
    for dtype in (*BYTES, "bfloat16"):  # the last time with what was compiled before
        assert measure(dtype)["own"] <= LIMIT[dtype]
