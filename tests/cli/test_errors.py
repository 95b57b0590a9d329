"""What a user can get wrong on the command line: one clear sentence, and exit status 2."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from conftest import is_one_sentence


class Evil:
    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


@pytest.fixture(scope="module")
def here(random_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a sound model, broken ones, and files to read."""
    here = tmp_path_factory.mktemp("here")
    for name in ("sound", "truncated", "malicious", "misshapen"):
        shutil.copytree(random_folder, here / name)
    weights = load_file(random_folder / "model.safetensors")
    os.truncate(here / "truncated" / "model.safetensors", 20_000)
    for name, state in {
        "malicious": weights | {"lm_head.bias": Evil(here / "canary")},
        "misshapen": weights | {"lm_head.bias": torch.ones(7)},
    }.items():
        (here / name / "model.safetensors").unlink()
        torch.save(state, here / name / "pytorch_model.bin")
    (here / "turns.txt").write_text("Set x to 1.\nPrint x.\n", "utf-8")
    (here / "empty.txt").write_text("", "utf-8")
    (here / "comments.txt").write_text("#! only\n\n   \n#! comments\n", "utf-8")
    (here / "latin1.txt").write_bytes(b"Set x to 1.\nPrint the word caf\xe9.\n")
    (here / "long.txt").write_text("Print " + "one and two and " * 200 + "\n", "utf-8")
    (here / "recipe.toml").write_text("steps = [", "utf-8")
    (here / "nothing").mkdir()
    problem = {"id": "a", "prompts": ["Print {x}."], "inputs": [{"x": 1}], "outputs": [1]}
    for name, records in {
        "good": [problem],
        "field": [problem, {"id": "b", "prompts": ["Print 1."], "inputs": [{}]}],
        "twice": [problem, problem],
    }.items():
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (here / f"{name}.jsonl").write_text(lines, "utf-8")
    return here


def words(line: str) -> list[str]:
    return [word.replace("_", " ") for word in line.split()]


CASES = {  # a command, and what its sentence must say
    "synthesize turns.txt --model absent": "no folder absent",
    "complete x --model nothing": "config.json",
    "complete x --model turns.txt": "turns.txt is a file",
    "complete x --model truncated": "truncated",
    "synthesize turns.txt --model malicious": "system",
    "complete x --model misshapen": "[7], not [1100]",
    "complete x --model sound --best": "--best",
    "synthesize turns.txt --model sound --temprature 0.5": "--temperature",
    "complete x --model sound --temperature hot": "--temperature",
    "complete x --model": "--model",
    "complete": "Missing argument",
    "complete x y --model sound": "y",
    "complete x --model sound -n 0": "-n",
    "synthesise turns.txt": "synthesise",
    "synthesize absent.txt --model sound": "no file absent.txt",
    "synthesize nothing --model sound": "nothing cannot be read",
    "synthesize empty.txt --model sound": "empty.txt holds no turns",
    "synthesize comments.txt --model sound": "comments.txt holds no turns",
    "synthesize latin1.txt --model sound": "latin1.txt, line 2,",
    "perplexity latin1.txt --text --model sound": "latin1.txt is not valid UTF-8",
    "perplexity empty.txt --text --model sound": "empty.txt is too short",
    "synthesize long.txt --model sound": "context",
    "perplexity long.txt --text --model sound": "context",
    f"complete {'one_and_two_and_' * 200} --model sound": "context",
    "complete x --model sound --temperature -1": "temperature",
    "complete x --model sound --temperature nan": "temperature",
    "complete x --model sound --top-p 0": "top_p",
    "synthesize turns.txt --model sound --top-p 2": "top_p",
    "complete x --model sound --top-k -1": "top_k",
    "complete x --model sound --max-new-tokens 0": "max_new_tokens",
    "complete x --model sound --dtype float12": "float12",
    "complete x --model sound --devices 3": "from 1 to the 1 that are here, not 3",
    "complete x --model sound --draft nano": "their tokenizers differ",
    "export sound nothing": "nothing exists already",
    "export sound elsewhere --dtype float12": "float12",
    "export sound turns.txt/elsewhere": "elsewhere could not be written",
    "inspect 350N": "350N",
    "inspect nothing": "config.json",
    "complete x --model Salesforce/codegen-350M-mono": "cannot be reached",
    "tokenizer train absent --out t": "absent",
    "tokenizer train nothing --out t": "no files",
    "tokenizer train turns.txt --out t --vocab-size 10": "295",
    "tokenizer train turns.txt": "--out",
    "tokenizer learn": "learn",
    "train absent.toml": "absent.toml",
    "train recipe.toml": "recipe.toml",
    "evaluate mtpb": "--download",
    "evaluate turns --download": "no turns to download",
    "evaluate mtpb --download --problems good.jsonl": "not both",
    "evaluate mtpb --problems field.jsonl": "field.jsonl, line 2: outputs: field required",
    "evaluate mtpb --problems twice.jsonl": "twice.jsonl, line 2: id: a is the id of another",
    "evaluate mtpb --problems good.jsonl --endpoint http://127.0.0.1:9/v1": "cannot be reached",
    "evaluate mtpb --problems good.jsonl --engine vllm": "pip install vllm",
    "evaluate mtpb --problems good.jsonl --engine vllm --on ray": "do not go together",
    "evaluate mtpb --problems good.jsonl --engine vllm --devices 2": "do not go together",
    "evaluate mtpb --problems good.jsonl --score good.jsonl": "good.jsonl, line 1: task_id",
    "report nothing": "nothing is no run",
}


@pytest.mark.parametrize("line", CASES, ids=lambda line: line[:60])
def test_a_mistake_is_answered_by_one_sentence_and_status_2(line, here):
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(here / "empty-cache")}
    done = subprocess.run(
        [sys.executable, "-m", "jaxformer.cli.main", *words(line)],
        cwd=here,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.endswith("\n")
    sentence = done.stderr.strip().removeprefix("jaxformer: ")
    assert "Traceback" not in sentence
    assert CASES[line] in sentence
    assert is_one_sentence(sentence) or sentence.endswith(" See 'jaxformer --help'.")
    assert not (here / "canary").exists()


def test_steps_on_standard_input_are_checked_like_a_file(here):
    done = subprocess.run(
        [sys.executable, "-m", "jaxformer.cli.main", "synthesize", "--model", "sound"],
        cwd=here,
        input=b"\n#! nothing\n\xff\n",
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().strip().startswith("jaxformer: standard input, line 3, is not")


def test_the_sound_model_that_the_mistakes_are_made_with_answers(here):
    command = "complete x --model sound --max-new-tokens 4 --temperature 1"
    done = subprocess.run(
        [sys.executable, "-m", "jaxformer.cli.main", *words(command)],
        cwd=here,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("x")


NO_ISOLATION = """
import ctypes, platform, struct, sys
# The kernel refuses unshare (here without user namespaces) and Landlock's first call.
calls = {{"x86_64": (272, 444), "aarch64": (97, 444)}}[platform.machine()]
program = b"".join(
    struct.pack("HBBI", *each)
    for each in [(0x20, 0, 0, 0), (0x15, 1, 0, calls[0]), (0x15, 0, 1, calls[1]),
                 (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
)
held = ctypes.create_string_buffer(program)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
filter = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(held))
assert libc.prctl(22, 2, filter, 0, 0) == 0
sys.argv = ["jaxformer", *{command}]
from jaxformer.cli.main import main
main()
"""


@pytest.mark.parametrize("line", ["evaluate mtpb --problems good.jsonl", "synthesize turns.txt"])
def test_without_isolation_nothing_of_a_models_is_run(line, here):
    command = NO_ISOLATION.format(command=line.split())
    done = subprocess.run([sys.executable, "-c", command], cwd=here, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--unprotected" in done.stderr
    assert is_one_sentence(done.stderr.removeprefix("jaxformer: ").strip())
    assert not (here / "runs").exists()


OUT_OF_MEMORY = """
import jax.numpy as jnp
from jaxformer.cli import main
main.app = lambda **_: jnp.zeros((10**7, 10**7)).block_until_ready()
main.main()
"""


@pytest.mark.parametrize(
    ("command", "environment", "complaint"),
    [
        (["-m", "jaxformer.cli.main", "complete", "x"], {"JAX_PLATFORMS": "cuda"}, "cuda"),
        (["-m", "jaxformer.cli.main", "complete", "x"], {"JAX_PLATFORMS": "toaster"}, "toaster"),
        (["-c", OUT_OF_MEMORY], {}, "too little memory"),
    ],
)
def test_devices_that_will_not_do_are_one_sentence(command, environment, complaint):
    ended = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | environment,
    )
    assert ended.returncode == 2, ended.stderr
    assert complaint in ended.stderr
    assert is_one_sentence(ended.stderr.removeprefix("jaxformer: ").strip())
