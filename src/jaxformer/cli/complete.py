"""Plain completion of a prompt."""

import dataclasses
import json
import sys
from typing import Annotated

import typer

from jaxformer.cli import options
from jaxformer.errors import UserError


def complete(
    prompt: Annotated[str, typer.Argument(help="The text to continue; - reads standard input.")],
    model: options.ModelName = "nano",
    dtype: options.Dtype = "float32",
    devices: options.Devices = 1,
    draft: options.Draft = None,
    max_new_tokens: Annotated[int, typer.Option(help="At most so many.")] = 128,
    n: Annotated[int, typer.Option("-n", min=1, help="How many completions.")] = 1,
    temperature: options.Temperature = 0.2,
    top_p: options.TopP = 0.95,
    top_k: options.TopK = 0,
    seed: options.Seed = 0,
    stop: Annotated[
        list[str] | None, typer.Option(help="End before this text; may be repeated.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Continue a text.

    Examples:

        jaxformer complete 'def hello():'

        jaxformer complete -n 4 --temperature 0.8 --json 'import os'
    """
    if prompt == "-":
        try:
            prompt = sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError("Standard input is not valid UTF-8.") from error

    from jaxformer.checkpoints import load
    from jaxformer.generation import complete

    loaded = load(model, dtype=dtype, devices=devices, draft=draft)
    streaming = n == 1 and not as_json
    unwritten = [prompt]  # until the first piece: a request may yet be refused

    def on_text(_: int, piece: str) -> None:
        sys.stdout.write("".join(unwritten) + piece)
        unwritten.clear()
        sys.stdout.flush()

    completions = complete(
        loaded,
        prompt,
        max_new_tokens=max_new_tokens,
        n=n,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        seed=seed,
        stop=stop or (),
        on_text=on_text if streaming else None,
    )
    if as_json:
        found = [dataclasses.asdict(completion) for completion in completions]
        print(json.dumps({"prompt": prompt, "completions": found}, ensure_ascii=False))
    elif streaming:
        print("".join(unwritten))
    else:
        for number, completion in enumerate(completions, 1):
            print(f"--- {number} ({completion.stop_reason})\n{prompt}{completion.text}")
