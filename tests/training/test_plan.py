"""Layouts, and their memory against what XLA allots."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxformer as jf
from conftest import is_one_sentence
from jaxformer.cli.inspect import inspect
from jaxformer.data.rows import Rows
from jaxformer.model import RELEASED, CodeGenConfig, init
from jaxformer.model.attention import pick
from jaxformer.model.sharding import make_mesh
from jaxformer.training import plan as plans
from jaxformer.training import read_recipe, weights
from jaxformer.training.computation import computation
from jaxformer.training.devices import capability_of, parse_devices, peak_flops, place
from jaxformer.training.optimizer import build, schedule
from jaxformer.training.plan import REMAT, Plan, estimate, make_plan, plan_stages
from jaxformer.training.preview import preview
from jaxformer.training.recipe import Recipe
from jaxformer.training.sizes import Pace
from jaxformer.training.step import make_step

SMALL = CodeGenConfig(
    vocab_size=512, n_positions=256, n_embd=128, n_layer=2, n_head=4, rotary_dim=16
)
WIDE = CodeGenConfig(
    vocab_size=2048, n_positions=256, n_embd=512, n_layer=2, n_head=4, rotary_dim=16
)
ROOT = Path(__file__).parents[2]


def recipe_of(*, batch: int = 8, lora: bool = False, **values: Any) -> Recipe:
    stage = {"name": "only", "data": [{"exercises": 1}], "batch": batch, "steps": 10, "warmup": 1}
    start = {"from": "nano", "lora": {"rank": 8}} if lora else {"size": "1M"}
    return Recipe.model_validate({"name": "x", "stages": [stage]} | start | values)


def pace_of(batch: int) -> Pace:
    return Pace(10, batch, 1e-3, 1, 10)


# What XLA allots


def allotted(
    recipe: Recipe, config: CodeGenConfig, plan: Plan, stacked: bool, kernel: str = "auto"
) -> float:
    """Return the bytes of a step compiled for batches of eight rows, built as a run builds it."""
    pace = pace_of(8)
    mesh = make_mesh(plan.mesh, jax.devices()[: math.prod(plan.mesh)])
    rule = build(weights.specs_of(recipe, config, stacked), "adamw", schedule(pace), 0.1)
    before = frozen = None
    if recipe.lora:
        base = jax.tree.map(np.asarray, init(config, jax.random.key(0)))
        frozen = weights.freeze(recipe, config, base, mesh, stacked)
    else:
        before = weights.first_weights(recipe, config, mesh, stacked)
    state = weights.begin(recipe, config, before, rule, mesh, stacked)
    how = computation(recipe, plan, config, mesh, kernel)
    step: Any = make_step(config, rule, how, whole=weights.whole_of(recipe))
    ids = np.zeros((pace.batch, recipe.context), np.int32)
    rows = place(Rows(ids, ids, ids, ids, ids.astype(np.float32)), mesh)
    with jax.set_mesh(mesh):
        memory = step.lower(state, frozen, rows, 0).compile().memory_analysis()
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes
    return held - memory.alias_size_in_bytes + memory.temp_size_in_bytes


@pytest.mark.parametrize(
    ("config", "context", "precision", "remat", "parts", "lora", "stacked"),
    [
        (SMALL, 256, "float32", "nothing", 1, False, False),
        (SMALL, 256, "bfloat16", "nothing", 4, False, False),
        (SMALL, 256, "bfloat16", "nothing", 1, False, True),
        (SMALL, 256, "bfloat16", "some", 1, False, True),
        (SMALL, 256, "float32", "all", 4, False, True),
        (SMALL, 256, "bfloat16", "nothing", 1, True, False),
        (SMALL, 256, "float32", "some", 4, True, True),
        (WIDE, 16, "float32", "nothing", 4, False, True),  # here weights take the most
        (WIDE, 16, "bfloat16", "nothing", 1, False, False),
    ],
)
def test_the_estimate_is_near_what_xla_allots(
    config, context, precision, remat, parts, lora, stacked
):
    recipe = recipe_of(context=context, precision=precision, lora=lora)
    guess = estimate(recipe, pace_of(8), config, (1, 1, 1), parts, remat, "cpu")
    plan = Plan((1, 1, 1), parts, remat, guess, math.inf)
    most = 2.5 if lora else 1.7
    assert 0.8 < plan.bytes / allotted(recipe, config, plan, stacked) < most


@pytest.mark.parametrize(
    ("layers", "precision", "remat", "stacked"),
    [
        (2, "float32", "nothing", False),
        (6, "float32", "nothing", False),
        (6, "bfloat16", "nothing", False),
        (6, "float32", "all", True),
        (6, "bfloat16", "some", True),
    ],
)
def test_kernels_that_hold_all_scores_are_estimated_so(layers, precision, remat, stacked):
    recipe = recipe_of(context=512, precision=precision)
    config = SMALL.model_copy(update={"n_positions": 512, "n_layer": layers})
    guess = estimate(recipe, pace_of(8), config, (1, 1, 1), 1, remat, "cpu", "xla")
    assert guess["attention scores"] > 0.3 * sum(guess.values())
    plan = Plan((1, 1, 1), 1, remat, guess, math.inf)
    assert 0.8 < plan.bytes / allotted(recipe, config, plan, stacked, "xla") < 1.7


def test_the_estimate_is_near_where_weights_are_spread_out():
    flags = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    flags["PYTHONPATH"] = str(ROOT / "tests")
    found = subprocess.run([sys.executable, __file__], env=flags, capture_output=True, check=True)
    ratios = json.loads(found.stdout)
    assert len(ratios) == 4
    assert all(0.9 < ratio < 1.7 for ratio in ratios), ratios


def spread_out() -> list[float]:
    """Return estimates on meshes of eight devices, each by what XLA allots."""
    ratios = []
    for mesh, layers, precision, remat, stacked in (
        ((1, 8, 1), 4, "float32", "nothing", False),
        ((1, 8, 1), 8, "bfloat16", "nothing", False),
        ((2, 2, 2), 4, "float32", "nothing", False),
        ((1, 8, 1), 8, "bfloat16", "all", True),
    ):
        recipe = recipe_of(context=16, precision=precision)
        config = WIDE.model_copy(update={"n_layer": layers})
        guess = estimate(recipe, pace_of(8), config, mesh, 1, remat, "cpu")
        plan = Plan(mesh, 1, remat, guess, math.inf)
        ratios.append(plan.bytes / allotted(recipe, config, plan, stacked))
    return ratios


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("mesh", [(1, 1, 1), (2, 4, 1), (1, 2, 4), (1, 8, 1)])
def test_weights_take_what_their_shards_hold(mesh, lora):
    recipe, config = recipe_of(lora=lora), RELEASED["350M"]
    parts = estimate(recipe, pace_of(8), config, mesh, 1, "nothing", "gpu")
    places = weights.shardings(
        weights.specs_of(recipe, config, False),
        jax.sharding.AbstractMesh(mesh, ("data", "fsdp", "tensor")),  # pyright: ignore
    )
    specs = jax.tree.leaves(weights.specs_of(recipe, config, False), is_leaf=plans.is_spec)
    held = sum(
        math.prod(place.shard_shape(spec.shape))
        for place, spec in zip(jax.tree.leaves(places), specs, strict=True)
    )
    if lora and mesh[1] * mesh[2] > 1:  # their factors are split one way only, and small
        assert parts["weights"] <= 4 * held < 0.02 * parts["frozen weights"]
    else:
        assert parts["weights"] == pytest.approx(4 * held, rel=0.01)
    assert parts["optimizer"] == 2 * parts["weights"]


# What is chosen


def planned(devices: str, config: CodeGenConfig, batch: int = 1024, **values: Any) -> Plan:
    count, kind, memory = parse_devices(devices)
    recipe = recipe_of(batch=batch, **values)
    platform = "tpu" if kind.startswith("TPU") else "gpu"
    [plan] = plan_stages(
        recipe,
        config,
        devices=count,
        memory=memory,
        platform=platform,
        capability=capability_of(kind),
    )
    return plan


def test_published_sizes_on_published_devices():
    full = planned("8xH200", RELEASED["16B"])
    assert full.fits
    assert full.mesh[1] * full.mesh[2] > 1
    with pytest.raises(jf.UserError, match=r"optimizer.*LoRA") as refused:
        planned("1xH200", RELEASED["16B"])
    assert is_one_sentence(str(refused.value))
    adapters = planned("1xH200", RELEASED["16B"], lora=True)
    assert adapters.fits
    assert adapters.parts["optimizer"] < 1e9 < adapters.parts["frozen weights"]
    with pytest.raises(jf.UserError, match="larger devices") as refused:
        planned("1xL4", RELEASED["16B"], lora=True)
    assert "LoRA" not in str(refused.value)


@settings(max_examples=40, deadline=None)
@given(
    size=st.sampled_from(list(RELEASED)),
    devices=st.integers(0, 6).map(lambda n: 2**n),
    batch=st.integers(3, 10).map(lambda n: 2**n),
    gigabytes=st.floats(8, 200),
    optimizer=st.sampled_from(["adamw", "muon"]),
    lora=st.booleans(),
)
def test_what_is_chosen_fits_and_nothing_that_computes_less_does(
    size, devices, batch, gigabytes, optimizer, lora
):
    recipe, config, pace = (
        recipe_of(batch=batch, optimizer=optimizer, lora=lora),
        RELEASED[size],
        pace_of(batch),
    )
    memory = gigabytes * 1e9

    def fits(mesh: tuple[int, int, int], parts: int, remat: str) -> bool:
        guess = estimate(recipe, pace, config, mesh, parts, remat, "gpu")
        return sum(guess.values()) <= plans.USABLE * memory

    shapes = [
        (devices // tensor // fsdp, fsdp, tensor)
        for tensor in (1, 2, 4, 8)
        for fsdp in (1, 2, 4, 8, 16, 32, 64)
        if tensor * fsdp <= devices and config.n_head % tensor == 0
    ]

    def some_fit(remat: str) -> bool:
        return any(
            # One row at a time takes least, if not all at once, for that needs no sums.
            fits(mesh, 1, remat) or fits(mesh, batch // (mesh[0] * mesh[1]), remat)
            for mesh in shapes
            if mesh[0] * mesh[1] <= batch
        )

    def made() -> Plan:
        return make_plan(
            recipe, pace, config, devices=devices, memory=memory, platform="gpu", stage="only"
        )

    if not some_fit("all"):
        with pytest.raises(jf.UserError, match="needs at least") as refused:
            made()
        assert is_one_sentence(str(refused.value))
        return
    plan = made()
    data, fsdp, tensor = plan.mesh
    assert plan.fits
    assert data * fsdp * tensor == devices
    assert batch % (data * fsdp * plan.accumulate) == 0
    order = list(REMAT)
    assert not any(some_fit(remat) for remat in order[: order.index(plan.remat)])
    assert plan.accumulate == 1 or not fits(plan.mesh, plan.accumulate // 2, plan.remat)


def test_on_cpus_parts_are_small_and_nothing_is_computed_again():
    def on_cpu(memory: float) -> Plan:
        return make_plan(
            recipe_of(context=256),
            pace_of(32),
            SMALL,
            devices=1,
            memory=memory,
            platform="cpu",
            stage="only",
        )

    plan = on_cpu(1e12)
    assert (plan.remat, plan.accumulate) == ("nothing", 8)
    smallest = estimate(recipe_of(context=256), pace_of(32), SMALL, (1, 1, 1), 32, "nothing", "cpu")
    with pytest.raises(jf.UserError, match="needs at least"):
        on_cpu(sum(smallest.values()))  # of which not all can be used


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mesh": "3x1x1"}, ["mesh 3x1x1", "8 rows", "multiple of 3"]),
        ({"mesh": "3x1x1", "accumulate": 2}, ["in 2 parts", "multiple of 6"]),
        ({"accumulate": 3}, ["in 3 parts", "multiple of 9"]),
        ({"mesh": "1x1x3"}, ["16 heads", "3 ways"]),
        ({"mesh": "2x2x1"}, ["2x2x1", "3 devices"]),
        ({"mesh": "three"}, ["three", "1x8x1"]),
    ],
)
def test_a_layout_that_cannot_be_is_refused(values, words):
    with pytest.raises(jf.UserError) as refused:
        plan_stages(recipe_of(), RELEASED["350M"], devices=3, memory=1e12, platform="gpu", **values)
    assert is_one_sentence(str(refused.value))
    for word in words:
        assert word in str(refused.value)


def test_a_mesh_and_parts_that_can_be_are_used():
    [plan] = plan_stages(
        recipe_of(),
        RELEASED["350M"],
        devices=8,
        memory=1e12,
        platform="gpu",
        mesh="2x2x2",
        accumulate=2,
    )
    assert (plan.mesh, plan.accumulate) == ((2, 2, 2), 2)


# What can only help


@settings(max_examples=200, deadline=None)
@given(
    config=st.builds(
        lambda layers, heads, vocab: CodeGenConfig(
            n_embd=64 * heads, n_head=heads, n_layer=layers, vocab_size=vocab, rotary_dim=32
        ),
        st.integers(1, 40),
        st.integers(1, 64),
        st.integers(1, 60_000),
    ),
    mesh=st.tuples(*[st.sampled_from([1, 2, 4])] * 3),
    parts=st.sampled_from([1, 2, 4]),
    remat=st.sampled_from(list(REMAT)),
    platform=st.sampled_from(["cpu", "gpu", "tpu"]),
    optimizer=st.sampled_from(["adamw", "muon"]),
    precision=st.sampled_from(["bfloat16", "float32"]),
    lora=st.booleans(),
)
def test_more_devices_and_parts_never_take_more(
    config, mesh, parts, remat, platform, optimizer, precision, lora
):
    recipe = recipe_of(batch=256, optimizer=optimizer, precision=precision, lora=lora)
    pace = pace_of(256)

    def of(mesh: tuple[int, ...], parts: int, remat: str) -> dict[str, float]:
        return estimate(recipe, pace, config, mesh, parts, remat, platform)  # pyright: ignore

    here = of(mesh, parts, remat)
    for axis in range(3):
        more = of(tuple(n * (1 + (i == axis)) for i, n in enumerate(mesh)), parts, remat)
        gathered = {"working weights"} if axis == 1 else set()  # from all that share them
        assert all(more[part] <= here[part] for part in here.keys() - gathered)
        assert sum(more.values()) < sum(here.values())
    finer = of(mesh, 2 * parts, remat)
    assert finer["activations"] < here["activations"]
    assert finer["logits"] <= here["logits"]
    for more, less in zip(REMAT, list(REMAT)[1:], strict=False):
        assert of(mesh, parts, less)["activations"] < of(mesh, parts, more)["activations"]


# What devices are known


@pytest.mark.parametrize(
    ("kind", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("TPU v5 lite", 197e12),
        ("TPU v5p", 459e12),
        ("NVIDIA L40", None),
        ("NVIDIA GH200 480GB", None),
        ("cpu", None),
    ],
)
def test_a_device_is_known_by_all_words_of_its_name(kind, peak):
    assert peak_flops(SimpleNamespace(device_kind=kind)) == peak  # pyright: ignore


def test_large_heads_have_a_fused_kernel_on_some_gpus_only():
    kernels = {
        kind: pick("auto", "gpu", 2048, 256, "bfloat16", capability_of(kind))[0]
        for kind in ("H100", "H200", "A100", "B200")
    }
    assert kernels == {"H100": "cudnn", "H200": "cudnn", "A100": "xla", "B200": "xla"}
    plan = planned("64xA100", RELEASED["16B"])
    assert plan.fits
    assert plan.parts["attention scores"] > 1e9


# As a user sees it


BIG = """
name = "big"
size = "16B"
[[stages]]
name = "nl"
data = ["absent/nl"]
batch = 1024
steps = 350_000
[[stages]]
name = "mono"
data = ["absent/mono"]
tokens = 1e9
"""


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.toml"
    path.write_text(BIG)
    return path


def test_inspect_shows_every_stage_before_there_is_data(big, capsys):
    inspect(str(big), devices="8xH200", changes=["nl.batch=512"], as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["devices"] == {"count": 8, "kind": "H200", "memory_bytes": 141e9}
    nl, mono = report["stages"]
    assert (nl["name"], nl["batch"], nl["steps"]) == ("nl", 512, 350_000)
    assert nl["tokens"] == 512 * 350_000 * 2048
    assert 1e9 <= mono["tokens"] < 1e9 + mono["batch"] * 2048
    for stage in (nl, mono):
        assert math.prod(stage["mesh"].values()) == 8
        assert stage["total_bytes"] == pytest.approx(sum(stage["memory_bytes"].values()))
        assert stage["total_bytes"] < 141e9
    inspect(str(big), devices="8xH200")
    shown = capsys.readouterr().out
    for text in ("nl", "mono", "350,000", "1x4x2", "activations", "141.0 GB", "1.0 B"):
        assert text in shown


def test_inspect_lays_out_on_this_machine_unless_told(big, capsys):
    inspect(str(big), size="350M", changes=["stages.batch=8", "tokenizer=nano"], as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["devices"]["count"] == jax.device_count()
    assert report["config"]["vocab_size"] == 4096  # of the tokenizer that was named


def test_inspect_refuses_what_cannot_fit(big):
    command = [sys.executable, "-m", "jaxformer.cli.main", "inspect", str(big), "--devices", "1xL4"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "GB" in done.stderr
    assert is_one_sentence(done.stderr.strip().replace("jaxformer: ", ""))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "nano", "devices": "8xH200"}, ["--devices", "nano", ".toml"]),
        ({"devices": "8xH7"}, ["8xH7", "8xH200"]),
        ({"size": "40M"}, ["absent/nl", "data build"]),  # whose shape needs a vocabulary
        ({"changes": ["tokenizer=no/such/place"]}, ["no/such/place"]),
    ],
)
def test_inspect_names_mistakes(big, arguments, words):
    with pytest.raises(jf.UserError) as refused:
        inspect(**{"model": str(big)} | arguments)
    assert is_one_sentence(str(refused.value))
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_recipes_can_be_laid_out(path):
    shown = preview(read_recipe(path), "8xH200")
    assert all(stage.plan.fits for stage in shown.stages)


if __name__ == "__main__":
    print(json.dumps(spread_out()))
