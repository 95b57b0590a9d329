"""The main job, interactively."""

import contextlib
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from jaxformer.cli import options
from jaxformer.errors import UserError

if TYPE_CHECKING:
    from jaxformer.synthesis import Session

HELP = """Describe a step, and the model writes its code; the program runs after every step.

/undo        take the last step back
/retry       write the last step's code anew
/edit        edit the last step's code in your editor
/fork        go on in a copy; /fork N goes back to branch N
/run         run the whole program
/show        show the whole program
/save FILE   save the program
/help        this text
/quit        end (or Ctrl-D)"""


def chat(
    model: options.ModelName = "nano",
    dtype: options.Dtype = "float32",
    devices: options.Devices = 1,
    draft: options.Draft = None,
    temperature: options.Temperature = 0.2,
    top_p: options.TopP = 0.95,
    top_k: options.TopK = 0,
    seed: options.Seed = 0,
    candidates: options.Candidates = 1,
    unprotected: options.Unprotected = False,
) -> None:
    """Write a program step by step in a conversation; each step runs at once.

    Example:

        jaxformer chat --model nano
    """
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (gives input() its line editing)

    from jaxformer.checkpoints import load
    from jaxformer.cli import show
    from jaxformer.synthesis import Session

    show.need_sandbox(unprotected)
    first = Session(
        load(model, dtype=dtype, devices=devices, draft=draft),
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        seed=seed,
        candidates=candidates,
        unprotected=unprotected,
    )
    branches, current = [first], 0
    show.console.print("Describe a step; /help lists the commands.", style="dim")
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            show.console.print()
            return
        except UnicodeDecodeError:
            show.console.print("That was not valid UTF-8.", style="red")
            continue
        session = branches[current]
        command, _, argument = line.partition(" ")
        argument = argument.strip()
        try:
            match command:
                case "":
                    continue
                case "/quit" | "/exit":
                    return
                case "/help":
                    show.console.print(HELP)
                case "/undo":
                    show.console.print(f"Took back: {session.undo().prompt}", style="dim")
                case "/retry":
                    show.retry(session)
                case "/edit":
                    _edit(session)
                    show.show_turn(session.turns[-1])
                case "/fork":
                    if argument:
                        current = _branch(argument, len(branches))
                    else:
                        branches.append(session.fork())
                        current = len(branches) - 1
                    show.console.print(f"On branch {current + 1} of {len(branches)}.", style="dim")
                case "/run":
                    show.show_result(session.run())
                case "/show":
                    show.console.print(show.code(session.program))
                case "/save":
                    _save(session.program, argument)
                    show.console.print(f"Saved {argument}.", style="dim")
                case _ if command.startswith("/"):
                    raise UserError(f"There is no command {command}; /help lists them.")
                case _:
                    show.ask(session, line)
        except UserError as error:
            show.console.print(str(error), style="red")
        except KeyboardInterrupt:
            show.console.print("Stopped.", style="dim")


def _edit(session: "Session") -> None:
    if not session.turns:
        raise UserError("There is no step to edit; ask for one first.")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "step.py"
        file.write_text(session.turns[-1].code + "\n", "utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(file)], check=True)
            edited = file.read_text("utf-8")
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            raise UserError(f"The editor {editor} failed ({error}); set EDITOR.") from error
    session.edit(edited)


def _branch(argument: str, count: int) -> int:
    if not argument.isdecimal() or not 1 <= int(argument) <= count:
        raise UserError(f"There is no branch {argument}; there are {count}.")
    return int(argument) - 1


def _save(program: str, argument: str) -> None:
    if not argument:
        raise UserError("Name the file: /save FILE.")
    try:
        Path(argument).write_text(program, "utf-8")
    except OSError as error:
        raise UserError(f"{argument} cannot be written: {error.strerror}.") from error
