"""How turns and programs look: colours on a terminal, plain text when piped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.syntax import Syntax
from rich.text import Text

from jaxformer.errors import UserError
from jaxformer.sandbox import Result, probe
from jaxformer.sandbox.terminal import plain
from jaxformer.synthesis import Session, Turn
from jaxformer.transcript import clean

console = Console(soft_wrap=True, highlight=False, markup=False)


def need_sandbox(unprotected: bool) -> None:
    """Refuse before any work is done where programs could not be run in the end."""
    if not unprotected and probe().tier == "unprotected":
        raise UserError(
            "This machine offers no isolation for the programs that the model writes; use Linux "
            "6.2 or newer or allow user namespaces, or accept the risk with --unprotected."
        )


@contextmanager
def resumable(messages: Console) -> Iterator[None]:
    """Say of work that is interrupted that the same command goes on, and leave with status 130."""
    try:
        yield
    except KeyboardInterrupt as error:
        messages.print("Ended; the same command goes on.", highlight=False)
        raise typer.Exit(130) from error


def code(text: str) -> Syntax:
    """Return highlighted Python."""
    return Syntax(text, "python", theme="ansi_dark", background_color="default", word_wrap=True)


def ask(session: Session, prompt: str) -> Turn:
    """Ask for a step and show it while it is written."""
    number = len(session.turns) + 1
    return _watch(number, prompt, lambda on_text: session.ask(prompt, on_text))


def retry(session: Session) -> Turn:
    """Let the last step be written anew and show it."""
    last = session.turns[-1] if session.turns else None
    prompt = last.prompt if last else ""
    return _watch(len(session.turns), prompt, session.retry)


def _watch(number: int, prompt: str, write: Callable[[Callable[[str], None] | None], Turn]) -> Turn:
    heading = Text(f"[{number}] {prompt}", style="bold")
    if not console.is_terminal:
        turn = write(None)
        console.print(heading)
        show_turn(turn)
        return turn
    text = ""
    with Live(heading, console=console, auto_refresh=False) as live:

        def on_text(piece: str) -> None:
            nonlocal text
            text += piece
            live.update(Group(heading, code(clean(text))), refresh=True)

        turn = write(on_text)
        live.update(heading, refresh=True)
    show_turn(turn)
    return turn


def show_turn(turn: Turn) -> None:
    """Show a turn's code and what there is to say about it."""
    if console.is_terminal:
        console.print(code(turn.code))
    else:
        print(turn.code)  # as it is: Rich would expand tabs
    remarks = []
    if turn.perplexity is not None:
        remarks.append(f"prompt perplexity {turn.perplexity:.2f}")
    if turn.stop_reason in ("length", "context"):
        remarks.append(f"unfinished: {turn.stop_reason} reached")
    if not turn.code:
        remarks.append("no code")
    if turn.forgotten:
        remarks.append(f"{turn.forgotten} tokens of history no longer fit")
    console.print(Text(f"    ({'; '.join(remarks)})", style="dim"))
    if turn.output:
        _show_output(turn.output)
    if turn.error:
        console.print(Text(plain(turn.error), style="red"))


def _show_output(output: str) -> None:
    if console.is_terminal:
        console.print(Text(plain(output).rstrip("\n"), style="green"))
    else:
        print(output.rstrip("\n"))


def show_result(result: Result) -> None:
    """Show what a program printed and how it ended."""
    console.print(Text("Output:", style="bold"))
    if result.stdout:
        _show_output(result.stdout)
    if result.status != "ok":
        console.print(Text(f"The program ended with: {result.exception or result.status}", "red"))
