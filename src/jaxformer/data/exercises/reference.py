"""How people refer to a variable: by name, by type, by description or by a pronoun."""

from random import Random
from typing import Any

from jaxformer.data.exercises.world import World

_LIST = ("list", "list", "list", "array")
_TYPES: dict[str, tuple[str, ...]] = {
    "ints": _LIST,
    "floats": _LIST,
    "strs": _LIST,
    "bools": ("list",),
    "rows": ("list",),
    "pairs": ("list",),
    "empty": ("list",),
    "word": ("string", "string", "word"),
    "text": ("string", "string", "text", "sentence"),
    "int": ("number",),
    "float": ("number",),
    "dict": ("dictionary", "dictionary", "dict"),
    "dictf": ("dictionary",),
    "dicts": ("dictionary", "dictionary", "dict"),
    "dictn": ("dictionary",),
    "tuple": ("tuple",),
    "set": ("set",),
    "func": ("function",),
    "bool": ("variable",),
}
_ITEMS = {
    "ints": ("number",) * 6 + ("element",) * 3 + ("value",) * 2 + ("item", "item", "integer"),
    "floats": ("number",) * 4 + ("value",) * 2 + ("element", "item"),
    "strs": ("word",) * 4 + ("string",) * 3 + ("item", "element"),
}
_PLURALS = {"city": "cities", "entry": "entries"}


def quoted(world: World, name: str, rng: Random, *, defining: bool = False) -> str:
    """A variable name in the quotes this person uses."""
    style = world.style
    mark = style.define_quote if defining else style.mention_quote
    if rng.random() < 0.06:
        mark = rng.choice(("", "'", "`", '"'))
    return f"{mark}{name}{mark}"


def _unique(world: World, name: str) -> bool:
    """Whether no other variable shares the type word of this one."""
    noun = _TYPES.get(world.kind(name), ("",))[0]
    return not any(
        other != name and _TYPES.get(world.kind(other), ("",))[0] == noun for other in world.vars
    )


def plural(noun: str) -> str:
    """The plural of an item noun."""
    return _PLURALS.get(noun, noun + "s")


def _by_name(world: World, name: str, rng: Random) -> str:
    """A reference that names the variable."""
    mark = quoted(world, name, rng)
    nouns = _TYPES.get(world.kind(name))
    roll = rng.random()
    if nouns is None or roll < 0.76:
        return mark
    noun = rng.choice(nouns)
    if noun == "number":
        return mark if roll < 0.94 else f"the number {mark}"
    if roll < 0.9:
        return f"the {noun} {mark}" if noun != name else mark
    if roll < 0.96:
        return f"the {mark} {noun}" if noun != name else mark
    return f"the variable {mark}"


def mentions(world: World, name: str, rng: Random, *, vague: bool = True) -> dict[str, str]:
    """The wordings of one variable, chosen once for a whole prompt.

    Args:
        world: The conversation so far.
        name: The variable.
        rng: The source of chance.
        vague: Whether pronouns and descriptions may be used at all.

    Returns:
        `a` (may be a pronoun), `A` (stands well at the start of a phrase), `them` (the items
        taken together), `items` and `item` (its plural and singular with "in …").
    """
    var, kind = world.vars[name], world.kind(name)
    named = _by_name(world, name, rng)
    solid = pronoun = named
    in_view = vague and world.focus == name
    unique = vague and _unique(world, name)
    hidden = False
    roll = rng.random()
    if in_view and roll < 0.2:
        pronoun, hidden = "it", True
    elif in_view and var.alias and roll < 0.32:
        pronoun = solid = var.alias
    elif in_view and var.computed and roll < 0.38:
        pronoun = solid = "the result"
    elif unique and 0.38 <= roll < 0.54 and kind in _TYPES:
        pronoun = solid = f"the {rng.choice(_TYPES[kind])}"
        hidden = True
    out = {"a": pronoun, "A": solid, "name": quoted(world, name, rng), "plain": name}
    nouns: tuple[Any, ...] = _ITEMS.get(kind, ("element", "item"))
    noun = rng.choice(nouns)
    if var.noun and rng.random() < 0.6:
        noun = var.noun
    inside = f" {rng.choice(('in', 'in', 'in', 'of', 'from'))} {pronoun}"
    if hidden and unique and rng.random() < 0.6:
        inside = ""
    out["items"] = plural(noun) + inside
    out["item"] = noun + inside
    out["bare"] = noun
    out["bares"] = plural(noun)
    roll = rng.random()
    if roll < 0.4:
        out["them"] = pronoun
    elif hidden and roll < 0.55:
        out["them"] = "them"
    else:
        out["them"] = rng.choice(("the ", "the ", "all the ", "all ")) + out["items"]
    return out


def type_noun(value: Any, rng: Random) -> str:
    """What a person calls a variable that holds this value."""
    if isinstance(value, list):
        return rng.choice(("list", "new list", "list", "variable"))
    if isinstance(value, dict):
        return rng.choice(("dictionary", "new dictionary", "dict"))
    if isinstance(value, str):
        return rng.choice(("string", "variable", "new variable", "new string"))
    return rng.choice(("variable", "variable", "new variable"))
