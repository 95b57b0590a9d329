"""How well a model understands a conversation or a text."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxformer.cli import options
from jaxformer.errors import UserError

if TYPE_CHECKING:
    from rich.text import Text

    from jaxformer.checkpoints import Model


def perplexity(
    file: Annotated[Path, typer.Argument(help="A conversation (one step a line), or any text.")],
    model: options.ModelName = "nano",
    dtype: options.Dtype = "float32",
    devices: options.Devices = 1,
    text: Annotated[
        bool, typer.Option("--text", help="Measure the file as it stands, not as steps.")
    ] = False,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
) -> None:
    """Measure the perplexity of every prompt of a conversation, and of every token.

    In the multi-turn figures each prompt follows all earlier prompts and the code that the model
    wrote for them; in the single-turn figures the prompts stand alone. Tokens that surprised the
    model are the reddest.

    Examples:

        jaxformer perplexity examples/shopping.txt

        jaxformer perplexity --text setup.py
    """
    from jaxformer.synthesis import parse_turns, read_bytes, read_text

    content = read_text(file) if text else parse_turns(read_bytes(file), str(file))

    from jaxformer.checkpoints import load

    loaded = load(model, dtype=dtype, devices=devices)
    if isinstance(content, str):
        _whole_text(content, file, loaded, as_json)
    else:
        _conversation(content, loaded, seed, as_json)


def _whole_text(text: str, file: Path, model: "Model", as_json: bool) -> None:
    from jaxformer.cli.show import console
    from jaxformer.generation import score

    [scored] = score(model, [text])
    value = scored.perplexity()
    if value is None:
        raise UserError(f"{file} is too short; perplexity needs at least two tokens.")
    pieces = [text[low:high] for low, high in scored.spans]
    pairs = list(zip(pieces, scored.logprobs, strict=True))
    if as_json:
        tokens = [{"text": piece, "logprob": logprob} for piece, logprob in pairs]
        print(json.dumps({"perplexity": value, "tokens": tokens}, ensure_ascii=False))
        return
    console.print(_coloured(pairs))
    console.print(f"perplexity {value:.3f} over {len(pairs) - 1} tokens")


def _conversation(prompts: list[str], model: "Model", seed: int, as_json: bool) -> None:
    from rich.table import Table

    from jaxformer.cli.show import console
    from jaxformer.synthesis import Session
    from jaxformer.synthesis.perplexity import prompt_perplexity

    session = Session(model, seed=seed, execute=False)
    for prompt in prompts:
        session.ask(prompt)
    multi = prompt_perplexity(model, session.turns, single=False)
    single = prompt_perplexity(model, session.turns, single=True)
    if as_json:
        rows = [
            {
                "prompt": turn.prompt,
                "multi": multi.prompts[i],
                "single": single.prompts[i],
                "tokens": [{"text": t, "logprob": p} for t, p in multi.tokens[i]],
            }
            for i, turn in enumerate(session.turns)
        ]
        report = {"multi": multi.whole, "single": single.whole, "prompts": rows}
        print(json.dumps(report, indent=1, ensure_ascii=False))
        return
    table = Table("multi", "single", "prompt", box=None, show_edge=False)
    for i in range(len(prompts)):
        cells = f"{multi.prompts[i]:.2f}", f"{single.prompts[i]:.2f}"
        table.add_row(*cells, _coloured(multi.tokens[i]))
    table.add_row(f"{multi.whole:.2f}", f"{single.whole:.2f}", "all prompts", style="bold")
    console.print(table)


def _coloured(pairs: Iterable[tuple[str, float | None]]) -> "Text":
    """Return the tokens, the redder the less likely."""
    from rich.text import Text

    shades = ((-1.0, ""), (-3.0, "yellow"), (-6.0, "dark_orange"), (float("-inf"), "bold red"))
    text = Text()
    for piece, logprob in pairs:
        style = next(s for limit, s in shades if logprob is None or logprob >= limit)
        text.append(piece, style=style)
    return text
