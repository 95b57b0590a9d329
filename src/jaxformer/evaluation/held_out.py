"""Conversations in plain text with what their programs shall print."""

from pathlib import Path

from jaxformer.checkpoints import Model
from jaxformer.errors import UserError
from jaxformer.generation import Engine
from jaxformer.synthesis import Session, parse_turns

EXPECTED = "#! prints: "


def is_right(engine: Engine, path: Path, *, temperature: float = 0.2, seed: int = 0) -> bool:
    """Tell whether the program of one conversation prints exactly the lines that its file says.

    Args:
        engine: What writes the program, one sample a turn.
        path: A text file: a step a line, and `#! prints: ` before each line of the output.
        temperature: 0 takes the likeliest token each time.
        seed: The same seed gives the same program.
    """
    lines = path.read_text("utf-8").splitlines()
    wanted = [line.removeprefix(EXPECTED) for line in lines if line.startswith(EXPECTED)]
    session = Session(
        engine.model, temperature=temperature, seed=seed, execute=False, engine=engine
    )
    for prompt in parse_turns(path.read_bytes(), str(path)):
        session.ask(prompt)
    result = session.run()
    return result.status == "ok" and result.stdout.splitlines() == wanted


def pass_rate(model: Model, folder: Path) -> float:
    """Return the share of a folder's conversations that are right.

    Raises:
        UserError: If there are none.
    """
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise UserError(f"{folder} holds no conversations; give a folder of .txt files.")
    engine = Engine(model)
    return sum(is_right(engine, path) for path in paths) / len(paths)
