"""What models are measured on: `turns`, and conversations made like those of their last stage.

On `turns`, which others worded, a model that was trained for minutes may pass nothing; made
conversations that it has not seen are at least worded as those that it has.
"""

import ast
import json
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

from jaxformer.data.atomic import whole
from jaxformer.data.exercises import conversation
from jaxformer.evaluation.problems import TURNS

YARDSTICKS = {"turns": "turns", "made": "made conversations"}
"""What reports call each."""
NEW_TOKENS = 96
"""Of a turn, at most: models of a few stages do not know when to end."""
MADE = 150
FIRST_SEED = 10**12
"""Of the made ones; a recipe's conversations have seeds far below."""


def write_problems(name: str, cases: int, folder: Path) -> Path:
    """Write the problems of a yardstick in MTPB's schema, if they are not there, and return them.

    Args:
        name: One of `YARDSTICKS`.
        cases: Of each problem that is measured; a made one has a single case.
        folder: The study's.
    """
    path = folder / f"{name}.jsonl"
    if not path.exists():
        lines = _turns(cases) if name == "turns" else islice(_made(), MADE)
        with whole(path) as part:
            part.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return path


def _turns(cases: int) -> Iterator[dict[str, Any]]:
    for line in TURNS.read_text("utf-8").splitlines():
        problem = json.loads(line)
        few = {name: problem[name][:cases] for name in ("inputs", "outputs")}
        yield problem | few | {"max_gen_length": NEW_TOKENS}


def _made() -> Iterator[dict[str, Any]]:
    """Conversations of three turns and more that print one value, and that at the end."""
    for seed in count(FIRST_SEED):
        exercise = conversation(seed)
        codes = [turn.code for turn in exercise.turns]
        if len(codes) >= 3 and "print(" not in "".join(codes[:-1]) and _prints_one(codes[-1]):
            yield {
                "id": f"made/{seed - FIRST_SEED}",
                "prompts": [_template(turn.prompt) for turn in exercise.turns],
                "inputs": [{}],
                "outputs": [_answer(exercise.output.removesuffix("\n"))],
                "max_gen_length": NEW_TOKENS,
                "solution": list(map(_template, codes)),
            }


def _prints_one(code: str) -> bool:
    """Whether code is `print(VALUE)`; what else prints may show several answers, or none."""
    match ast.parse(code).body:
        case [ast.Expr(ast.Call(ast.Name("print"), [argument], []))]:
            return not isinstance(argument, ast.Starred)
    return False


def _answer(text: str) -> Any:
    """What was printed, as a value where JSON knows it: 20 is right for 20.0."""
    try:
        value = ast.literal_eval(text)
        return value if json.loads(json.dumps(value)) == value else text
    except (SyntaxError, ValueError, TypeError):
        return text


def _template(text: str) -> str:
    """Return what `str.format` makes the text of."""
    return text.replace("{", "{{").replace("}", "}}")
