"""A model that several devices share writes what it writes on one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_worker import report

import jaxformer as jf
from conftest import is_one_sentence

WORKER = Path(__file__).with_name("device_worker.py")


@pytest.fixture(scope="module")
def shared(random_folder) -> dict[str, Any]:
    """What four devices write in each dtype, and what else was found."""
    command = [sys.executable, str(WORKER), str(random_folder), "4", "float32", "int4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-3), ("int4", 0.1)])
def test_shared_by_devices_it_writes_the_same(shared, random_folder, dtype, close):
    """Beside integers all is bfloat16, where another order of sums may change a token."""
    one, many = report(str(random_folder), dtype, 1), shared["reports"][dtype]
    count = None if dtype == "float32" else 1
    for tokens, others in zip(one["tokens"], many["tokens"], strict=True):
        assert tokens[:count] == others[:count]
    for logprobs, others in zip(one["logprobs"], many["logprobs"], strict=True):
        np.testing.assert_allclose(others[:count], logprobs[:count], atol=close)
    assert many["hits"] == one["hits"] > 0
    assert len(many["held"]) == 4
    assert max(many["held"]) < 0.3 * one["held"][0]


def test_queries_keys_and_values_are_laid_out_anew_where_they_are(shared):
    assert shared["laid out"]


@pytest.mark.parametrize(("devices", "says"), [(64, "64"), (0, "0")])
def test_devices_that_are_not_there_are_said(random_folder, devices, says):
    with pytest.raises(jf.UserError) as caught:
        jf.load(str(random_folder), devices=devices, packed=False)
    assert says in str(caught.value)
    assert is_one_sentence(str(caught.value))
