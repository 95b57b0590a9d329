"""What `nano` can do: conversations that were written blind to its data, and the examples."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import jaxformer as jf
from jaxformer.checkpoints.hub import find
from jaxformer.evaluation import is_right
from jaxformer.evaluation.held_out import EXPECTED
from jaxformer.generation import Engine
from jaxformer.synthesis import parse_turns

HELD_OUT = sorted((Path(jf.__file__).parent / "embedded/benchmarks/held-out").glob("*.txt"))


@pytest.mark.parametrize(
    ("first", "last", "least"),
    [(1, 50, 46), (51, 100, 45), (101, 150, 35), (151, 200, 40), (201, 250, 45)],
)
def test_held_out_conversations_are_right(nano, first, last, least):
    """Five sets, written blind to its data, the last one after its training."""
    some = [path for path in HELD_OUT if first <= int(path.stem) <= last]
    assert len(some) == 50
    engine = Engine(nano)
    wrong = [path.stem for path in some if not is_right(engine, path)]
    print(f"{50 - len(wrong)} of 50 right; wrong: {wrong}")
    assert 50 - len(wrong) >= least


@pytest.mark.parametrize(
    ("name", "printed"), [("function", "[4, 25, 81]\n"), ("shopping", "56\n"), ("words", "5\n")]
)
def test_the_examples_come_out_right(nano, name, printed):
    file = Path(__file__).parents[1] / f"examples/{name}.txt"
    session = jf.Session(nano)
    for prompt in parse_turns(file.read_bytes(), str(file)):
        session.ask(prompt)
    assert session.turns[-1].output == printed


def test_held_out_conversations_have_three_turns_and_an_answer():
    for path in HELD_OUT:
        assert len(parse_turns(path.read_bytes(), str(path))) == 3
        assert EXPECTED in path.read_text("utf-8")


def test_it_ships_small_and_with_its_card():
    folder = find("nano")
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 15_000_000
    assert (folder / "README.md").read_text("utf-8").startswith("---\n")


def test_transformers_loads_it_with_the_same_words(nano):
    folder = find("nano")
    theirs: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompt = "# Import libraries.\n\nimport numpy as np\n\n# Set x to 3.\n"
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    with torch.no_grad():
        out = theirs.generate(ids, max_new_tokens=6, do_sample=False)
    [ours] = jf.complete(nano, prompt, max_new_tokens=6, temperature=0.0)
    assert ids[0].tolist() == nano.tokenizer.encode(prompt)
    assert tuple(out[0, ids.shape[1] :].tolist()) == ours.tokens


@pytest.mark.parametrize("seed", range(3))
def test_a_session_runs_what_it_wrote(nano, seed):
    session = jf.Session(nano, seed=seed)
    session.ask("Define a list named 'nums' with values [3, 1, 4].")
    turn = session.ask("Print nums.")
    assert session.turns[0].code == "nums = [3, 1, 4]"
    assert (turn.output, turn.error) == ("[3, 1, 4]\n", None)
