"""From an operation to a worded step: the ways to store, print, ask and decide."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from dataclasses import dataclass
from random import Random
from typing import Any

from jaxformer.data.exercises import values
from jaxformer.data.exercises.operations import Check, Do, Operation, Params, Value
from jaxformer.data.exercises.phrasing import expand, fill
from jaxformer.data.exercises.reference import mentions, quoted, type_noun
from jaxformer.data.exercises.world import Var, World

_STORE = "[store|save|store|put|keep]"
_IN = "[in|in|in|in a variable [named|called]|in the variable|in a new variable [called|named]|as|to|into]"
_GET = "[compute|calculate|find|get|determine|work out]"
_SHOW = "[print|print|print|print|print|print out|show|display|output]"

NAMED_NOUN = (
    f"{_GET} {{N}} and {_STORE} [it|it|the result|{{it}}] {_IN} {{r}}|"
    f"{_GET} {{N}} and [assign|save] [it|the result] to {{r}}|"
    f"{_GET} {{N}} and call [it|the result] {{r}}|"
    f"{_GET} {{N}} as {{r}}|{_GET} {{N}}[, storing it|, saving it] [in|as] {{r}}|"
    f"{_STORE} {{N}} {_IN} {{r}}|{_STORE} {{N}} [in|as] {{r}}|{_STORE} {{N}} in {{r}}|"
    "assign {N} to [|a variable |a variable called |a variable named |the variable ]{r}|"
    "set {r} to [|be ]{N}|set {r} equal to {N}|let {r} be {N}|let {r} [equal|=] {N}|"
    "define {r} [as|to be] {N}|define a variable {r} [as|that holds|equal to] {N}|"
    "create [a|the] {T} [called|named] {r} [with|containing|holding|that contains|that holds|"
    "equal to|from|as] {N}|"
    "create [a variable |]{r} [as|equal to|with|holding] {N}|make {r} {N}|"
    "make [a|the] {T} [called|named|] {r} [with|of|from|that holds] {N}|"
    "{r} [should be|should hold|is|=] {N}|{N} -> {r}|{N}, [stored|saved] [in|as] {r}|"
    "{N} in {r}|"
    "I want {N} in {r}|I need {N}[, stored in| in| as| in a variable called] {r}|"
    f"{_GET} {{N}}. [Store|Save|Put] it in {{r}}|{_GET} {{N}}. [Call|Name] [it|the result] {{r}}|"
    "take {N} and [store|save|put] [it|that] in {r}|in {r}, store {N}|"
    "put {N} in {r}|declare {r} as {N}|"
    f"create {{r}} and {_STORE} {{N}} in it|use {{r}} to [store|hold] {{N}}|"
    "create a {T} {r} [with|that holds|containing] {N}"
)
NAMED_VERB = (
    f"{{V}} and {_STORE} [the result|the result|it|{{it}}|the answer] {_IN} {{r}}|"
    f"{{V}} and {_STORE} [the result|it] [in|as] {{r}}|"
    "{V} and call [it|the result|the result] {r}|{V} and name [it|the result] {r}|"
    "{V} and assign [it|the result|the result] to [|a variable called |the variable ]{r}|"
    "{V}[, storing|, saving|, keeping] [the result|it] [in|as] {r}|{V} as {r}|"
    "{V} and save [it|that|the result] as {r}|{V} into {r}|{V}, [result in|call it] {r}|"
    "{V}. [Store|Save|Put|Keep] [the result|it] [in|as] {r}|{V}. [Call|Name] the result {r}|"
    "{V} and put [the result|it] [in|into] [a new variable |]{r}|"
    "{V}; the result [goes in|goes into|is] {r}|create {r}: {V}|"
    "[assign to|set] {r}: {V}|{V} and keep the result [as|in] {r}"
)
NAMED_ASK = (
    f"{{Q}}? [Store|Save|Put|Keep] [it|the answer|the result] {_IN} {{r}}|"
    "{Q}? [Store|Save] the [answer|result] in {r}|{Q}? Assign [it|the answer] to {r}|"
    "{Q}? Call [it|the answer] {r}"
)
LOOSE_NOUN = (
    f"{_GET} {{N}}|{_GET} {{N}}|[create|make|take|get] {{N}}|{{N}}|I want {{N}}|"
    "I need {N}|store {N}|save {N}"
)
PRINT_NOUN = (
    f"{_SHOW} {{N}}|{_SHOW} {{N}}|{_SHOW} {{N}}|{_SHOW} {{N}}|"
    f"{_GET} {{N}} and {_SHOW} {{it}}|{_GET} {{N}} and print the [result|answer]|"
    f"{_SHOW} {{N}} [on the screen|to the screen|to the console]|show me {{N}}|"
    f"{_GET} {{N}}, then print it|{_GET} {{N}}. Print [it|the result|the answer]|"
    f"I want to see {{N}}|print out {{N}}|output {{N}}|print the result of {{N}}|tell me {{N}}"
)
PRINT_VERB = (
    f"{{V}} and {_SHOW} [the result|the result|{{it}}|the answer]|{{V}}, then print [the result|it]|"
    "{V}. Print [the result|the answer|it]|{V} and show me the result|{V}, printing the result"
)
PRINT_ASK = (
    "{Q}? [Print|Print|Show|Display|Output] [it|the answer|the answer|the result]|{Q}?|"
    "{Q}? Print that|{Q}? Print out the answer|{Q}, print it"
)
CHANGE_PRINT = (
    f"{{V}} and {_SHOW} [it|the result|the result|{{name}}]|{{V}}, then print {{name}}|"
    "{V}. Print [the result|it|{name}]|{V} and print the new {type}|{V} and print the {type}"
)
NAMED_CHECK = (
    f"[check|determine|find out|test|see] [if|whether] {{C}} and {_STORE} [the result|it|"
    f"the answer] {_IN} {{r}}|"
    f"{_STORE} whether {{C}} {_IN} {{r}}|set {{r}} to whether {{C}}|"
    "set {r} to True if {C}[,|] [otherwise|else] False|"
    "set {r} to True if {C} and [to |]False [otherwise|if not]|"
    "let {r} be [whether {C}|True if {C} and False otherwise]|"
    "check [if|whether] {C} and call [it|the result] {r}|"
    "create a [variable|boolean] [called|named|] {r} that [is True if|tells whether|says whether] "
    "{C}|define {r} as [whether {C}|True if {C}, otherwise False]|"
    "{r} should be True if {C}|{Q}? [Store|Save] [the answer|the result|it] in {r}|"
    "assign to {r} whether {C}|make {r} True if {C}, False otherwise"
)
PRINT_CHECK = (
    "print [whether|whether|if] {C}|[check|determine|find out|test] [if|whether] {C} and print "
    "[the result|the answer|it]|{Q}? Print [True or False|the answer|the result|it]|{Q}?|"
    "print True if {C}[,| and] [otherwise False|False otherwise|else False]|"
    "[show|display|output] whether {C}|print True or False depending on whether {C}|"
    "check whether {C}. Print the result|{Q}? Print True if so, False otherwise"
)
BRANCH_PRINT = (
    "[if|if|when] {C}[,|] print {yes}[, otherwise print| and otherwise| else print| otherwise|"
    ". Otherwise print|; if not, print|, else] {no}|"
    "print {yes} if {C}[, otherwise| and otherwise| else|, else print] {no}|"
    "print {yes} if {C} and {no} [otherwise|if not]|"
    "check [if|whether] {C}; print {yes} if [so|it is true|yes], {no} otherwise|"
    "{Q}? Print {yes} or {no}"
)
BRANCH_ONLY = (
    "if {C}[,| then] print {yes}|print {yes} if {C}|print {yes} only if {C}|"
    "check if {C} and if so print {yes}"
)
BRANCH_SET = (
    "if {C}[,|] set {r} to {yes}[, otherwise to| and otherwise to|, otherwise set it to|"
    ", else| else| otherwise] {no}|set {r} to {yes} if {C}[,| and] [otherwise|else] {no}|"
    "set {r} to {yes} if {C} and [to |]{no} otherwise|"
    "create a variable [called|named] {r} that is {yes} if {C}[,| and] {no} otherwise|"
    "let {r} be {yes} if {C}[,| and] {no} otherwise|store {yes} in {r} if {C}[,| and] {no} otherwise|"
    "assign {yes} to {r} if {C}, otherwise [assign |]{no}"
)
_ANSWERS = (
    ("yes", "no"), ("yes", "no"), ("Yes", "No"), ("big", "small"), ("high", "low"),
    ("pass", "fail"), ("ok", "not ok"), ("found", "not found"), ("true", "false"),
    ("correct", "wrong"), ("good", "bad"), ("large", "small"), ("valid", "invalid"), ("A", "B"),
    ("YES", "NO"), ("hot", "cold"), ("long", "short"), ("win", "lose"),
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A worded step before it is run.

    Attributes:
        prompt: The raw wording.
        code: Its code.
        makes: The variables it makes or changes, the last one coming into focus.
    """

    prompt: str
    code: str
    makes: tuple[Var, ...] = ()


def as_text(world: World, value: Any) -> str:
    """A value in prose: strings in this person's quotes, the rest as in code."""
    if isinstance(value, str):
        mark = world.style.value_quote if "'" not in value else '"'
        return f"{mark}{value}{mark}"
    return repr(value)


def _loop_names(world: World, subject: str | None) -> dict[str, str]:
    """Loop variables that hide no variable of the conversation."""
    first = "x"
    if subject and world.kind(subject) in ("strs", "text"):
        first = "w"
    if subject and world.kind(subject) == "word":
        first = "c"
    taken = world.vars
    letter = next(name for name in (first, "x", "n", "e", "item", "elem") if name not in taken)
    index = next(name for name in ("i", "j", "k", "idx", "pos") if name not in taken)
    other = next(name for name in ("c", "ch", "y", "letter") if name not in taken)
    return {"x": letter, "i": index, "y": other}


class Draft:
    """The slots of one operation: subjects and parameters, in prose and in code."""

    def __init__(self, world: World, rng: Random, subjects: list[str], params: Params) -> None:
        self.world, self.rng = world, rng
        self.code = _loop_names(world, subjects[0] if subjects else None)
        self.prose: dict[str, str] = {"it": "it"}
        for letter, name in zip("abc", subjects, strict=False):
            self.code[letter] = name
            found = mentions(world, name, rng, vague=len(subjects) == 1)
            if letter == "a":
                self.prose.update(found)
            else:
                self.prose[letter] = self.prose[letter.upper()] = found["A"]
        for key, value in params.items():
            if isinstance(value, tuple):
                self.prose[key], self.code[key] = value
                continue
            self.prose[key] = as_text(world, value)
            self.code[key] = repr(value)
            self.prose[key + "_"] = str(value)
            if isinstance(value, int) and not isinstance(value, bool):
                spelt = value <= 10 and rng.random() < 0.45
                self.prose[key + "w"] = values.in_words(value) if spelt else str(value)
            if isinstance(value, str):
                self.code[key + "_"] = value

    def say(self, template: str, **extra: str) -> str:
        """Word a template with the slots of this draft."""
        return expand(template, self.rng, {**self.prose, **extra})

    def write(self, code: str, **extra: str) -> str:
        """Fill the slots of a piece of code."""
        return fill(code, {**self.code, **extra})


def _draft(
    operation: Operation, world: World, rng: Random, subject: str | None
) -> tuple[Draft, list[str]] | None:
    """Choose subjects and parameters, or find that the operation does not fit here."""
    subjects: list[str] = []
    for position, spec in enumerate(operation.kinds.split()):
        if position == 0 and subject is not None:
            subjects.append(subject)
            continue
        others = [var.name for var in world.find(spec) if var.name not in subjects]
        if not others:
            return None
        subjects.append(others[-1] if rng.random() < 0.7 else rng.choice(others))
    held: Any = None
    if len(subjects) == 1:
        held = world.value(subjects[0])
    elif subjects:
        held = [world.value(name) for name in subjects]
    if operation.test is not None and not operation.test(held):
        return None
    params: Params | None = {}
    if operation.pick is not None:
        params = operation.pick(held, rng)
        if params is None:
            return None
    return Draft(world, rng, subjects, params), subjects


_TYPE_WORD = {"ints": "list", "floats": "list", "strs": "list", "text": "string", "word": "string"}


def _pool(value: Any) -> str:
    return "result" if not isinstance(value, list) else "nums"


def _with_setup(setup: str, code: str, world: World) -> str:
    """Put an import first unless the program has it already."""
    if not setup or setup.split()[-1] in world.used:
        return code
    world.used.append(setup.split()[-1])
    return f"{setup}\n{code}"


def _acceptable(value: Any, rng: Random) -> bool:
    """Whether a result is worth computing: neither huge nor, mostly, empty."""
    if isinstance(value, list | dict | str | tuple | set) and not value:
        return rng.random() < 0.06
    if isinstance(value, int | float) and abs(value) > 10**9:
        return False
    return len(repr(value)) < 130


def _value_step(row: Value, draft: Draft, subjects: list[str], mode: str) -> Step | None:
    world, rng = draft.world, draft.rng
    expr = draft.write(row.expr)
    result = world.evaluate(expr, row.setup)
    if not _acceptable(result, rng):
        return None
    kinds = [kind for kind in ("nouns", "verbs", "does", "asks") if getattr(row, kind)]
    if row.nouns and not row.asks and isinstance(result, int | float | str):
        kinds.append("asks")
    weights = {"nouns": 5.0, "verbs": 3.0, "does": 4.0, "asks": 2.0}
    if mode == "loose":
        kinds = [kind for kind in kinds if kind != "asks"]
    if not kinds:
        return None
    shape = rng.choices(kinds, [weights[kind] for kind in kinds])[0]
    template = getattr(row, shape) or f"[what is|what's] {row.nouns}"
    phrase = draft.say(template)
    it = "them" if row.many and rng.random() < 0.6 else "it"
    if shape == "does" and mode in ("loose", "print") and subjects:
        target = subjects[0]
        code = draft.write(row.inplace) if row.inplace else f"{target} = {expr}"
        code = _with_setup(row.setup, code, world)
        old = world.vars[target]
        made = Var(target, row.alias, True, old.noun)
        if mode == "loose":
            return Step(phrase, code, (made,))
        kind = _TYPE_WORD.get(world.kind(target), "result")
        prompt = draft.say(CHANGE_PRINT, V=phrase, type=kind)
        return Step(prompt, f"{code}\nprint({target})", (made,))
    slot = {"nouns": "N", "verbs": "V", "does": "V", "asks": "Q"}[shape]
    if mode == "print":
        form = {"N": PRINT_NOUN, "V": PRINT_VERB, "Q": PRINT_ASK}[slot]
        prompt = draft.say(form, **{slot: phrase, "it": it})
        return Step(prompt, _with_setup(row.setup, f"print({expr})", world))
    noun = world.vars[subjects[0]].noun if subjects and isinstance(result, list) else ""
    if mode == "loose":
        name = values.default_name(row.names, world.names)
        prompt = phrase if slot != "N" else draft.say(LOOSE_NOUN, N=phrase)
    else:
        pool = "result" if rng.random() < 0.6 else _pool(result)
        name = values.fresh_name(rng, pool, world.names, row.names)
        form = {"N": NAMED_NOUN, "V": NAMED_VERB, "Q": NAMED_ASK}[slot]
        label = quoted(world, name, rng, defining=True)
        prompt = draft.say(
            form, **{slot: phrase, "it": it, "r": label, "T": type_noun(result, rng)}
        )
    code = f"{name} = {expr}"
    if mode == "both":
        code += f"\nprint({name})"
        prompt += draft.say(
            "[ and print it| and print it|, then print it|. Print it|. Then print it]"
        )
    return Step(prompt, _with_setup(row.setup, code, world), (Var(name, row.alias, True, noun),))


def _check_step(row: Check, draft: Draft, mode: str) -> Step:
    world, rng = draft.world, draft.rng
    expr = draft.write(row.expr)
    clause, ask = draft.say(row.clauses), draft.say(row.asks)
    words = {"C": clause, "Q": ask}
    yes, no = rng.choice(_ANSWERS)
    if rng.random() < 0.25:
        yes, no = values.letters_only(rng), values.letters_only(rng)
    words |= {"yes": as_text(world, yes), "no": as_text(world, no)}
    roll = rng.random()
    if mode == "print":
        if roll < 0.45:
            return Step(draft.say(PRINT_CHECK, **words), f"print({expr})")
        if roll < 0.6:
            return Step(draft.say(BRANCH_ONLY, **words), f"if {expr}:\n    print({yes!r})")
        code = f"if {expr}:\n    print({yes!r})\nelse:\n    print({no!r})"
        return Step(draft.say(BRANCH_PRINT, **words), code)
    preferred = row.names if roll < 0.6 else "label status kind size level message result tag"
    name = values.fresh_name(rng, "result", world.names, preferred)
    words["r"] = quoted(world, name, rng, defining=True)
    if roll < 0.6:
        return Step(draft.say(NAMED_CHECK, **words), f"{name} = {expr}", (Var(name),))
    code = f"if {expr}:\n    {name} = {yes!r}\nelse:\n    {name} = {no!r}"
    return Step(draft.say(BRANCH_SET, **words), code, (Var(name),))


def _do_step(row: Do, draft: Draft, subjects: list[str]) -> Step:
    world, rng = draft.world, draft.rng
    extra_prose: dict[str, str] = {}
    extra_code: dict[str, str] = {}
    makes: list[Var] = []
    if row.makes:
        name = values.fresh_name(rng, row.pool, world.names, row.makes)
        extra_code["r"] = name
        extra_prose["r"] = quoted(world, name, rng, defining=True)
        makes.append(Var(name, row.alias, True))
    if row.changes and subjects:
        old = world.vars[subjects[0]]
        makes.append(Var(old.name, row.alias, old.computed, old.noun))
    return Step(
        draft.say(row.prompts, **extra_prose), draft.write(row.code, **extra_code), tuple(makes)
    )


def step(
    operation: Operation, world: World, rng: Random, subject: str | None, mode: str
) -> Step | None:
    """Word an operation in one of its forms.

    Args:
        operation: The operation.
        world: The conversation so far.
        rng: The source of chance.
        subject: Its first subject.
        mode: "named" or "loose" (store the value), "print" or "both".

    Returns:
        The step, or None if the operation does not fit here.
    """
    if isinstance(operation, Do) and operation.prints != (mode == "print"):
        return None
    if isinstance(operation, Check) and mode not in ("print", "named"):
        return None
    found = _draft(operation, world, rng, subject)
    if found is None:
        return None
    draft, subjects = found
    if isinstance(operation, Value):
        return _value_step(operation, draft, subjects, mode)
    if isinstance(operation, Check):
        return _check_step(operation, draft, mode)
    return _do_step(operation, draft, subjects)
