"""Tokens a second of training, side by side with transformers' CodeGenForCausalLM and PyTorch.

    python benchmarks/train.py                              # a small shape: minutes on a CPU
    python benchmarks/train.py --shape 350M                 # a released one, on a GPU
    python benchmarks/train.py --shape 350M --only ours --kernel cudnn --remat some
    python benchmarks/train.py --shape 350M --variants --json variants.jsonl

The work: whole steps of AdamW (betas 0.9 and 0.999, epsilon 1e-8, decay of matrices alone,
gradients clipped to norm 1) from the same weights on the same rows of random tokens. Ours is built
as `jaxformer train` does it, for one device, without z-loss, which the peer lacks. The peer is
`torch.compile` of the model with its loss, fused AdamW and no dropout or cache; its attention is
eager, for transformers has no other (SDPA or flash) for CodeGen. It computes in one of

- autocast: float32 weights, bfloat16 products as autocast chooses them;
- bfloat16: weights, gradients and moments too, which trains worse: half the memory to move;
- float32: with TF32 products on a GPU.

Ours is autocast's kind: float32 weights, bfloat16 products. Every turn is a process of its own.
First all must agree on losses and norms of gradients of a few steps; a peer that lacks the memory
of a GPU takes its batches in more parts. Then they take turns, in another order each round; a turn
warms up, which compiles, and times some steps together. MFU is of the causal operations
(`jaxformer.model.flops`) and the dense bfloat16 peak that the maker publishes.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import logging
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

if TYPE_CHECKING or sys.argv[1:2] != ["turn"]:  # a peer's interpreter may have none of these
    import typer

    from jaxformer.checkpoints import read_config, save_pretrained
    from jaxformer.model import RELEASED, CodeGenConfig, count, flops, init
    from jaxformer.tokenizer import load as load_tokenizer

Result = dict[str, Any]

NANO = Path(__file__).resolve().parents[1] / "src/jaxformer/embedded/nano"  # a tokenizer for all
CHECKED = 5  # steps whose losses and norms are compared
TOLERANCES = {"bfloat16": (2e-2, 1e-1)}  # relative, of losses and norms; its weights are rounded
TOLERANCE = (5e-3, 5e-2)  # of the others
WEIGHT_DECAY, LEARNING_RATE = 0.1, 3e-4
SHAPES = {
    "tiny": {"vocab_size": 4096, "n_embd": 128, "n_layer": 2, "n_head": 4, "rotary_dim": 32},
    "small": {"vocab_size": 8192, "n_embd": 512, "n_layer": 8, "n_head": 8, "rotary_dim": 32},
}
SIZES = {  # rows and context
    "cpu": {"tiny": (4, 64), "350M": (2, 512), "2B": (1, 512)},
    "gpu": {"350M": (16, 2048), "2B": (4, 2048), "6B": (1, 2048)},
}
KERNELS = {"cpu": "tiled,xla", "gpu": "cudnn,xla", "tpu": "splash,xla"}
GRID = {"layers": "unroll,scan", "remat": "nothing,some,all"}
LOOK = """import json, jax; from jaxformer.training.devices import peak_flops
device = jax.devices()[0]
print(json.dumps([device.platform, device.device_kind, peak_flops(device)]))"""
LOOK_AT_PEER = """import torch, transformers
print(f"torch {torch.__version__}, transformers {transformers.__version__},"
      f" {torch.get_num_threads()} threads" + ", CUDA" * torch.cuda.is_available())"""


@dataclass(frozen=True)
class Turn:
    """What one process does; None has training choose."""

    way: str
    """`ours`, or a dtype of the peer."""
    folder: str
    """With the weights and `tokens.npy`: `[steps, rows, context + 1]`."""
    platform: str
    warmup: int
    steps: int
    accumulate: int | None = None
    """Parts of a batch."""
    kernel: str = "auto"
    layers: Any = "auto"
    remat: str | None = None


def timed(turn: Turn, step: Callable[[int], Any], wait: Callable[[Any], Any]) -> Result:
    """Takes the steps, which return loss and norm; waits for the device only around the clock."""
    began = time.perf_counter()
    reports = [step(0)]
    wait(reports)
    first = time.perf_counter() - began
    reports += [step(number) for number in range(1, turn.warmup)]
    wait(reports)
    began = time.perf_counter()
    reports += [step(number) for number in range(turn.warmup, turn.warmup + turn.steps)]
    wait(reports)
    seconds = (time.perf_counter() - began) / turn.steps
    losses, norms = ([float(x) for x in column] for column in zip(*reports, strict=True))
    return {"seconds": seconds, "first": first, "losses": losses, "norms": norms}


def ours(turn: Turn) -> Result:
    """A stage as `jaxformer train` runs it, on one device."""
    import jax

    from jaxformer.checkpoints import read_config, read_params
    from jaxformer.data import rows
    from jaxformer.model.parameters import stack
    from jaxformer.model.sharding import make_mesh, shardings
    from jaxformer.training.computation import computation, is_stacked
    from jaxformer.training.devices import memory_of, place
    from jaxformer.training.heap import keep_heap, release_heap
    from jaxformer.training.optimizer import build, schedule
    from jaxformer.training.plan import make_plan
    from jaxformer.training.recipe import Recipe
    from jaxformer.training.sizes import derive
    from jaxformer.training.step import make_step
    from jaxformer.training.weights import begin, specs_of

    log, notes = logging.getLogger("jaxformer"), []
    log.setLevel(logging.INFO)  # it says which kernel `auto` is
    log.addFilter(lambda record: notes.append(record.getMessage()) or True)

    keep_heap()
    folder, device = Path(turn.folder), jax.devices()[0]
    config, tokens = read_config(folder), np.load(folder / "tokens.npy")
    batch, context = tokens.shape[1], tokens.shape[2] - 1
    stage = {"name": "benchmark", "data": ["none"], "batch": batch}
    stage |= {"steps": 10**6, "learning_rate": LEARNING_RATE, "warmup": 0}  # as good as constant
    recipe = Recipe.model_validate({
        "name": "benchmark", "model": config.model_dump(), "context": context,
        "weight_decay": WEIGHT_DECAY, "z_loss": 0.0, "stages": [stage],
    })  # fmt: skip
    pace = derive(recipe, recipe.stages[0], config)
    plan = make_plan(
        recipe,
        pace,
        config,
        devices=1,
        memory=math.inf if turn.remat else memory_of(device),
        platform=device.platform,
        stage="benchmark",
        accumulate=turn.accumulate,
    )
    plan = replace(plan, remat=turn.remat or plan.remat)
    if device.platform != "cpu":
        release_heap()
    mesh = make_mesh(plan.mesh, [device])
    stacked = is_stacked(turn.layers, device.platform)
    how = computation(recipe, plan, config, mesh, turn.kernel)
    specs = specs_of(recipe, config, stacked)
    rule = build(specs, recipe.optimizer, schedule(pace, recipe.schedule), recipe.weight_decay)
    arrange = jax.jit(stack if stacked else lambda x: x, out_shardings=shardings(specs, mesh))
    before = arrange(read_params(folder, config, "float32"))
    state = begin(recipe, config, before, rule, mesh, stacked)
    train = make_step(config, rule, how, z_loss=recipe.z_loss)
    start = np.zeros(1, int)
    batches = [
        rows.stack([rows.row(rows.Stretch(ids, start), context) for ids in drawn])
        for drawn in tokens
    ]

    def step(number: int) -> tuple[Any, Any]:
        nonlocal state
        with jax.set_mesh(mesh):
            state, report = train(state, None, place(batches[number], mesh), number)
        return report.loss, report.norm

    result = timed(turn, step, jax.block_until_ready)
    if int(state.step) != turn.warmup + turn.steps:
        raise RuntimeError("a batch was bad, so later ones changed no weights")
    chosen = [note.split()[1] for note in notes if note.startswith("attention: ")]
    result |= {"kernel": chosen[0], "layers": "scan" if stacked else "unroll"}
    result |= {"remat": plan.remat, "accumulate": plan.accumulate}
    return result | {"peak": (device.memory_stats() or {}).get("peak_bytes_in_use")}


def peer(turn: Turn) -> Result:
    """The same in PyTorch."""
    import torch
    from transformers import CodeGenForCausalLM

    where = torch.device("cuda" if turn.platform == "gpu" else "cpu")
    torch.set_float32_matmul_precision("high" if turn.platform == "gpu" else "highest")
    dtype = torch.bfloat16 if turn.way == "bfloat16" else torch.float32
    options: dict[str, Any] = {"dtype": dtype, "attn_implementation": "eager", "use_cache": False}
    model: Any = CodeGenForCausalLM.from_pretrained(turn.folder, **options)
    model.to(where).train()
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    rule = torch.optim.AdamW(
        groups, LEARNING_RATE, (0.9, 0.999), 1e-8, weight_decay=WEIGHT_DECAY, fused=True
    )
    batches = torch.from_numpy(np.load(Path(turn.folder) / "tokens.npy")).long()
    parts = turn.accumulate or 1

    @torch.compile
    def mean_loss(inputs: Any, targets: Any) -> Any:
        return model(input_ids=inputs, labels=targets, shift_labels=targets).loss

    def step(number: int) -> tuple[Any, Any]:
        losses = []
        for part in batches[number].to(where).chunk(parts):
            with torch.autocast(where.type, torch.bfloat16, enabled=turn.way == "autocast"):
                loss = mean_loss(part[:, :-1].contiguous(), part[:, 1:].contiguous()) / parts
            loss.backward()
            losses.append(loss.detach())
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        rule.step()
        rule.zero_grad(set_to_none=True)
        return sum(losses), norm

    def wait(_: Any) -> None:
        if where.type == "cuda":
            torch.cuda.synchronize()

    result = timed(turn, step, wait) | {"accumulate": parts}
    return result | {"peak": where.type == "cuda" and torch.cuda.max_memory_allocated()}


def take(text: str) -> None:
    """Takes a turn in this process; the last line printed is what came of it."""
    turn = Turn(**json.loads(text))
    try:
        result = (ours if turn.way == "ours" else peer)(turn)
    except Exception as error:
        traceback.print_exc()
        result = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("\n" + json.dumps(result | {"peak": result.get("peak") or kilobytes * 1024}))


def send(turn: Turn, interpreter: str) -> Result:
    """Takes a turn in a process of its own; says how it went."""
    command = [interpreter, str(Path(__file__).resolve()), "turn", json.dumps(asdict(turn))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        result: Result = {"error": f"exit status {done.returncode}"}
    else:
        result = json.loads(done.stdout.splitlines()[-1])
    said = result.get("error") or f"{result['seconds'] * 1e3:,.1f} ms a step"
    settings = (turn.way, turn.kernel, turn.layers, turn.remat, turn.accumulate)
    shown = settings if turn.way == "ours" else (turn.way, turn.accumulate)
    print(*(f"{value or 'auto'}," for value in shown), said, file=sys.stderr, flush=True)
    return result | ({"trace": done.stderr} if "error" in result else {})


def lacks_memory(result: Result) -> bool:
    """Whether a turn ended because the device's memory did not do."""
    said = result.get("error", "").lower().replace(" ", "")
    return "outofmemory" in said or "resource_exhausted" in said


def worst(name: str, one: Result, other: Result) -> float:
    """The largest relative difference of the first steps."""
    pairs = list(zip(one[name], other[name], strict=False))[:CHECKED]
    return max(abs(a - b) / abs(b) if math.isfinite(a - b) else math.inf for a, b in pairs)


def append(file: Path | None, entry: Result) -> None:
    """Adds a line to the JSON file, so that what was measured outlives a kill."""
    if file:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(entry) + "\n")


def check(
    turns: dict[str, Turn], peers: str, file: Path | None
) -> tuple[dict[str, Turn], dict[str, tuple[float, float]]]:
    """Holds the ways to ours for a few steps; returns turns that fit, and what differs."""
    fitting: dict[str, Turn] = {}
    differs: dict[str, tuple[float, float]] = {}
    truth: Result = {}
    for way, timed_turn in turns.items():
        turn = replace(timed_turn, warmup=1, steps=CHECKED - 1)
        rows = np.load(Path(turn.folder) / "tokens.npy", mmap_mode="r").shape[1]
        result = send(turn, sys.executable if way == "ours" else peers)
        while way != "ours" and lacks_memory(result) and rows % (2 * (turn.accumulate or 1)) == 0:
            turn = replace(turn, accumulate=2 * (turn.accumulate or 1))
            result = send(turn, peers)
        append(file, {"kind": "check"} | asdict(turn) | result)
        if "error" in result:
            sys.exit(f"{result['trace']}\n{way}: {result['error']}")
        if not truth:
            truth, losses = result, result["losses"]
            print(f"the loss goes from {losses[0]:.3f} to {losses[-1]:.3f} in {CHECKED} steps")
        loss, norm = worst("losses", result, truth), worst("norms", result, truth)
        loss_bound, norm_bound = TOLERANCES.get(way, TOLERANCE)
        if loss > loss_bound or norm > norm_bound:
            columns = (f"{name}: {truth[name]}, {result[name]}" for name in ("losses", "norms"))
            sys.exit("\n".join((f"{way} differs from {next(iter(turns))}", *columns)))
        fitting[way] = replace(timed_turn, accumulate=turn.accumulate)
        differs[way] = (loss, norm)
    return fitting, differs


def figures(
    results: Sequence[Result], tokens: int, operations: float, peak: float | None
) -> Result:
    """What a table says of a way's turns."""
    rates = [tokens / result["seconds"] for result in results]
    made: Result = {"tokens/s": spread(rates, ",.0f")}
    made["TFLOP/s"] = spread([rate * operations / 1e12 for rate in rates], ".3g")
    made["MFU"] = spread([rate * operations / peak for rate in rates], ".1%") if peak else "–"
    made["first step s"] = spread([result["first"] for result in results], ".1f")
    return made | {"peak GB": f"{max(result['peak'] for result in results) / 1e9:.2f}"}


def compare(
    turns: dict[str, Turn], peers: str, rounds: int, tokens: int, operations: float,
    peak: float | None, file: Path | None,
) -> list[Result]:  # fmt: skip
    """Holds the ways to one result, then times them in turn."""
    differs: dict[str, tuple[float, float]] = {}
    if len(turns) > 1:
        turns, differs = check(turns, peers, file)
    results: dict[str, list[Result]] = {way: [] for way in turns}
    ways = list(turns)
    for index in range(rounds):
        for way in (*ways[index % len(ways) :], *ways[: index % len(ways)]):
            result = send(turns[way], sys.executable if way == "ours" else peers)
            append(file, {"kind": "round", "round": index + 1} | asdict(turns[way]) | result)
            if "error" in result:
                sys.exit(f"{result['trace']}\n{way}: {result['error']}")
            results[way].append(result)
    table = []
    for way, taken in results.items():
        row = {"way": way} | figures(taken, tokens, operations, peak)
        pairs = zip(taken, results.get("ours", []), strict=False)
        ratios = [result["seconds"] / our["seconds"] for result, our in pairs]
        row["ours to it"] = spread(ratios, ".2f") if way != "ours" and ratios else "–"
        unlike = (f"{x:.1e}" for x in differs.get(way, ())) if way != "ours" else ("–", "–")
        row["loss differs"], row["norm differs"] = unlike
        row["how"] = " ".join(str(taken[0].get(k, "")) for k in ("kernel", "layers", "remat"))
        table.append(row | {"how": f"{row['how']} in {taken[0]['accumulate']}".strip()})
    return table


def try_variants(
    grid: Sequence[Turn], tokens: int, operations: float, peak: float | None, file: Path | None
) -> list[Result]:
    """Times ours in every way of a grid, the fastest first; those that cannot serve last."""
    tried, truth = [], {}
    for turn in grid:
        result = send(turn, sys.executable)
        result.pop("trace", None)
        append(file, {"kind": "variant"} | asdict(turn) | result)
        tried.append((turn, result))
    table = []
    for turn, result in sorted(tried, key=lambda pair: pair[1].get("seconds", math.inf)):
        names = ("kernel", "layers", "remat", "accumulate")
        row = {name: result.get(name, getattr(turn, name)) for name in names}
        if "error" in result:
            why = "no memory" if lacks_memory(result) else result["error"][:100]
            table.append(row | {"tokens/s": why})
            continue
        truth = truth or result
        row |= figures([result], tokens, operations, peak)
        table.append(row | {"loss differs": f"{worst('losses', result, truth):.1e}"})
    return table


def spread(values: Sequence[float], form: str) -> str:
    """A median, and a range where there are several."""
    median, low, high = (f"{f(values):{form}}" for f in (statistics.median, min, max))
    return median if len(values) == 1 else f"{median} ({low}–{high})"


def markdown(rows: Sequence[Result]) -> str:
    """A table; its columns are the fullest row's."""
    columns = list(max(rows, key=len))
    lines = [columns, ["---"] * len(columns), *([r.get(c, "") for c in columns] for r in rows)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def processor() -> str:
    """The CPU's model."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(": ")[2]
    return platform.machine()


def config_of(shape: str, context: int) -> CodeGenConfig:
    """A shape of this file, a released one or nano's, for rows of so many tokens."""
    if shape in SHAPES:
        return CodeGenConfig(n_positions=context, **SHAPES[shape])
    if shape != "nano" and shape not in RELEASED:
        sys.exit(f"There is no shape {shape!r}; choose {', '.join((*SHAPES, 'nano', *RELEASED))}.")
    config = RELEASED[shape] if shape in RELEASED else read_config(NANO)
    return config.model_copy(update={"n_positions": max(context, config.n_positions)})


def prepare(folder: Path, config: CodeGenConfig, steps: int, batch: int, context: int) -> None:
    """Writes random weights, and tokens of which few are frequent, so that losses fall."""
    import jax

    jax.config.update("jax_platforms", "cpu")  # of this process, which leaves the device to others
    save_pretrained(folder, config, init(config, jax.random.key(0)), load_tokenizer(NANO))
    generator, ranks = np.random.default_rng(0), np.arange(config.vocab_size)
    chances = 1 / (ranks + 3.0)
    shape = (steps, batch, context + 1)
    tokens = generator.choice(ranks, shape, p=chances / chances.sum()).astype(np.int32)
    np.save(folder / "tokens.npy", tokens)


def main(
    shape: Annotated[str, typer.Option(help="tiny, small, nano or a released size.")] = "small",
    batch: Annotated[int | None, typer.Option(min=1, help="Rows a step.")] = None,
    context: Annotated[int | None, typer.Option(min=2, help="Tokens a row.")] = None,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Timed in a turn.")] = 5,
    warmup: Annotated[int, typer.Option(min=1, help="Steps before, in a turn.")] = 2,
    peer_dtypes: Annotated[str, typer.Option(help="autocast,bfloat16,float32: any.")] = "",
    peer_accumulate: Annotated[int, typer.Option(min=1, help="Parts of its batches.")] = 1,
    peers: Annotated[str, typer.Option(help="The peer's interpreter.")] = sys.executable,
    only: Annotated[Literal["ours", "all"], typer.Option()] = "all",
    kernel: Annotated[str, typer.Option(help="Ours; several with --variants.")] = "",
    layers: Annotated[str, typer.Option(help="scan, unroll or both.")] = "",
    remat: Annotated[str, typer.Option(help="nothing, some, all.")] = "",
    accumulate: Annotated[str, typer.Option(help="Parts of a batch.")] = "",
    variants: Annotated[bool, typer.Option("--variants", help="Ours in many ways.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Add a line a turn.")] = None,
) -> None:
    """Measure training; lists are written with commas."""
    if not variants and any("," in text for text in (kernel, layers, remat, accumulate)):
        sys.exit("Ours is timed in one way; for several add --variants.")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    looked = subprocess.run([sys.executable, "-c", LOOK], stdout=subprocess.PIPE, check=True)
    kind, device, peak = json.loads(looked.stdout.splitlines()[-1])
    usual = SIZES.get(kind, SIZES["gpu"]).get(shape, (8, 512))
    batch, context = batch or usual[0], context or usual[1]
    config = config_of(shape, context)
    operations, tokens = flops.per_token(config, context), batch * context
    versions = (f"{name} {version(name)}" for name in ("jax", "jaxlib", "optax"))
    setting = [
        f"{processor()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}",
        f"{device} ({kind}), Python {platform.python_version()}, {', '.join(versions)}",
        f"{shape}: {count(config) / 1e6:,.1f} M parameters, {batch} rows of {context} tokens",
        f"{datetime.datetime.now():%F %R}",
    ]
    print("\n".join(setting), flush=True)
    append(json_file, {"kind": "setting", "setting": setting})

    def listed(text: str, otherwise: str) -> list[str]:
        return [word.strip() for word in (text or otherwise).split(",")]

    ways = ["ours"]
    if only == "all" and not variants:
        found = subprocess.run(
            [peers, "-c", LOOK_AT_PEER], capture_output=True, text=True, check=False
        )
        if found.returncode or (kind == "gpu" and "CUDA" not in found.stdout):
            print("PyTorch and transformers that use this device are not installed: ours alone.")
        else:
            print(
                f"{found.stdout.strip()}; its attention is eager: CodeGen has no other.", flush=True
            )
            ways += listed(peer_dtypes, "autocast,bfloat16" if kind == "cpu" else "autocast")
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), config, max(CHECKED, warmup + steps), batch, context)
        base = Turn("ours", name, kind, warmup, steps)
        if variants:
            parts = ",".join(str(n) for n in (1, 2, 4, 8) if batch % n == 0)
            grid = itertools.product(
                listed(accumulate, parts),
                listed(remat, GRID["remat"]),
                listed(kernel, KERNELS.get(kind, "xla")),
                listed(layers, GRID["layers"]),
            )
            turns = [
                replace(base, accumulate=int(n), remat=r, kernel=k, layers=way)
                for n, r, k, way in grid
            ]
            rows = try_variants(turns, tokens, operations, peak, json_file)
        else:
            base = replace(
                base,
                accumulate=int(accumulate) if accumulate else None,
                kernel=kernel or "auto",
                layers=layers or "auto",
                remat=remat or None,
            )
            turns = {way: replace(base, way=way, accumulate=peer_accumulate) for way in ways}
            rows = compare(
                turns | {"ours": base}, peers, rounds, tokens, operations, peak, json_file
            )
    print("\n" + markdown(rows))


if __name__ == "__main__":
    if sys.argv[1:2] == ["turn"]:
        take(sys.argv[2])
    else:
        typer.run(main)
