"""What there is, and how various it is."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from jaxformer.data.exercises import operations, phrasing
from jaxformer.data.exercises.exercise import Exercise
from jaxformer.data.exercises.programs import assigned
from jaxformer.data.exercises.programs import every as every_program

_WORDINGS = ("nouns", "verbs", "does", "asks", "clauses", "prompts")


def listing() -> Iterator[str]:
    """A line for each operation: what it works on, its code, and how many phrases it has."""
    for operation in operations.every():
        code = getattr(operation, "expr", "") or getattr(operation, "code", "")
        kinds, first = operation.kinds or "anything", code.replace("\n", "; ")
        yield f"{kinds}\t{first}\t{phrases(operation)}"


def phrases(operation: operations.Operation) -> int:
    """How many phrases an operation has, names, values and sentences around them left open."""
    templates = [getattr(operation, name, "") for name in _WORDINGS]
    return sum(phrasing.alternatives(template) for template in templates if template)


def statistics(exercises: Iterable[Exercise]) -> dict[str, float]:
    """Count what differs among conversations.

    Shapes are prompts and code in which all numbers, quoted texts, lists of these and names of
    variables are the same, so that they differ in wording and in form alone.
    """
    made = list(exercises)
    turns = [turn for exercise in made for turn in exercise.turns]
    prompts, codes = Counter(), Counter()
    for exercise in made:
        code = "\n".join(turn.code for turn in exercise.turns)
        names = assigned(code)
        prompts.update(_shape(turn.prompt, names) for turn in exercise.turns)
        codes.update(_shape(turn.code, names) for turn in exercise.turns)
    words = Counter(w for turn in turns for w in re.findall(r"[a-z']+", turn.prompt.lower()))
    return {
        "operations": len(operations.every()),
        "phrases of operations": sum(map(phrases, operations.every())),
        "programs": len(every_program()),
        "conversations": len(made),
        "turns": len(turns),
        "distinct prompts": len({turn.prompt for turn in turns}),
        "distinct shapes of prompts": len(prompts),
        "distinct shapes of code": len(codes),
        "shapes of code seen once": sum(count == 1 for count in codes.values()),
        "words used five times or more": sum(count >= 5 for count in words.values()),
    }


def overlap(exercises: Iterable[Exercise], texts: Iterable[str], n: int = 8) -> Counter[str]:
    """Count the prompts that hold n words in a row of a text, by these words.

    Args:
        exercises: Whose prompts are looked at.
        texts: Such as a benchmark's prompts.
        n: How many words.
    """
    known = {run for text in texts for run in _runs(text, n)}
    found = Counter()
    for exercise in exercises:
        for turn in exercise.turns:
            found.update(set(_runs(turn.prompt, n)) & known)
    return found


def _runs(text: str, n: int) -> list[str]:
    words = re.findall(r"\w+", text.lower())
    return [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]


def _shape(text: str, names: set[str]) -> str:
    text = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`|-?\d+(\.\d+)?", "_", text)
    text = re.sub(r"\w+", lambda word: "_" if word[0] in names else word[0].lower(), text)
    return re.sub(r"[\[{(]?_([,:] ?_)*[\]})]?", "_", text)
