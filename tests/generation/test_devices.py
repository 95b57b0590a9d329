"""A model that several devices share writes what it writes on one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from device_worker import report

import jaxformer as jf
from conftest import is_one_sentence
from jaxformer.model.inference import advance, empty_cache, scores

WORKER = Path(__file__).with_name("device_worker.py")


@pytest.fixture(scope="module")
def shared(random_folder) -> dict[str, Any]:
    """What four devices write in each dtype, and what else was found."""
    command = [sys.executable, str(WORKER), str(random_folder), "4", "float32", "int4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_shared_by_devices_it_writes_the_same(shared, random_folder):
    one, many = report(str(random_folder), "float32", 1), shared["reports"]["float32"]
    assert many["tokens"] == one["tokens"]
    for logprobs, others in zip(one["logprobs"], many["logprobs"], strict=True):
        np.testing.assert_allclose(others, logprobs, atol=1e-3)
    assert many["hits"] == one["hits"] > 0
    assert len(many["held"]) == 4
    assert max(many["held"]) < 0.3 * one["held"][0]


def test_shared_in_integers_it_knows_the_same_probabilities(shared, random_folder):
    """Beside integers all is bfloat16, where another order of sums may change a token."""
    one, many = report(str(random_folder), "int4", 1), shared["reports"]["int4"]
    assert many["hits"] == one["hits"] > 0
    assert len(many["held"]) == 4
    assert max(many["held"]) < 0.3 * one["held"][0]
    model = jf.load(str(random_folder), dtype="int4", packed=False)
    entries = model.tokenizer.vocab_size  # what is drawn leaves the padding rows out
    for prompt, tokens, found in zip(
        many["prompts"], many["tokens"], many["logprobs"], strict=True
    ):
        assert tokens
        ids = np.array([[*prompt, *tokens]])
        places = np.arange(ids.size)[None]
        cache = empty_cache(model.params, model.config, 1, ids.size)
        states, _ = advance(model.params, model.config, ids, places, cache)
        known = jax.nn.log_softmax(scores(model.params, model.config, states[0])[:, :entries])
        known = known[np.arange(len(prompt) - 1, ids.size - 1), np.array(tokens)]
        np.testing.assert_allclose(found, known, atol=0.1)


def test_queries_keys_and_values_are_laid_out_anew_where_they_are(shared):
    assert shared["laid out"]


@pytest.mark.parametrize(("devices", "says"), [(64, "64"), (0, "0")])
def test_devices_that_are_not_there_are_said(random_folder, devices, says):
    with pytest.raises(jf.UserError) as caught:
        jf.load(str(random_folder), devices=devices, packed=False)
    assert says in str(caught.value)
    assert is_one_sentence(str(caught.value))
