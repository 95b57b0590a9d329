"""The main job: a program from a description in steps."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from jaxformer.cli import options


def synthesize(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="One step a line; empty lines and lines that begin with #! do not count. "
            "Without it, steps come from standard input.",
            show_default=False,
        ),
    ] = None,
    model: options.ModelName = "nano",
    dtype: options.Dtype = "float32",
    devices: options.Devices = 1,
    draft: options.Draft = None,
    temperature: options.Temperature = 0.2,
    top_p: options.TopP = 0.95,
    top_k: options.TopK = 0,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Of each turn.", show_default=False)
    ] = None,
    seed: options.Seed = 0,
    candidates: options.Candidates = 1,
    unprotected: options.Unprotected = False,
    as_json: options.AsJson = False,
) -> None:
    """Write a program step by step, then run it in the sandbox.

    Examples:

        jaxformer synthesize examples/shopping.txt

        printf 'Set x to 3.\\nPrint x squared.\\n' | jaxformer synthesize --json
    """
    from jaxformer.synthesis import parse_turns, read_bytes

    if file is None or str(file) == "-":
        if sys.stdin.isatty():
            print("One step a line; end with Ctrl-D.", file=sys.stderr)
        prompts = parse_turns(sys.stdin.buffer.read(), "standard input")
    else:
        prompts = parse_turns(read_bytes(file), str(file))

    from jaxformer.checkpoints import load
    from jaxformer.cli import show
    from jaxformer.synthesis import Session

    show.need_sandbox(unprotected)
    session = Session(
        load(model, dtype=dtype, devices=devices, draft=draft),
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        max_new_tokens=max_new_tokens,
        seed=seed,
        candidates=candidates,
        execute=False,
        unprotected=unprotected,
    )
    for prompt in prompts:
        if as_json:
            session.ask(prompt)
        else:
            show.ask(session, prompt)
    result = session.run()
    if as_json:
        keys = ("prompt", "code", "raw", "stop_reason", "perplexity")
        turns = [{key: getattr(turn, key) for key in keys} for turn in session.turns]
        report = {"turns": turns, "program": session.program}
        report |= {"output": result.stdout, "status": result.status}
        print(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        show.show_result(result)
