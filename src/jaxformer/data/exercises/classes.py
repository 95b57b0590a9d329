"""Small classes: defining one, making an object of it, and using the object.

A class is a row: what it is called, the attributes that its `__init__` takes, and what its methods
do. Objects are variables like others, whose `detail` is the row.
"""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from dataclasses import dataclass
from random import Random
from typing import Any

from jaxformer.data.exercises import values
from jaxformer.data.exercises.forms import Step, as_text
from jaxformer.data.exercises.phrasing import expand, fill
from jaxformer.data.exercises.reference import quoted
from jaxformer.data.exercises.world import Var, World


@dataclass(frozen=True)
class Method:
    """A method: its name, its own argument, what it does in words, its body, and how it is used.

    `gives` says whether it returns something; `{v}` is its argument.
    """

    name: str
    takes: str
    does: str
    body: str
    use: str
    gives: bool = False


@dataclass(frozen=True)
class Class:
    """A class: names, attributes (name and kind), further state, and its methods."""

    names: str
    fields: tuple[tuple[str, str], ...]
    state: str
    methods: tuple[Method, ...]
    objects: str


CLASSES = (
    Class("Counter Tally Clicker", (), "count=0", (
        Method("increment", "", "adds 1 to count|increases count by [1|one]", "self.count += 1", "increment {o}|call increment on {o}|call the increment method of {o}"),
        Method("reset", "", "sets count [back |]to 0", "self.count = 0", "reset {o}|call reset on {o}"),
        Method("add", "n", "adds n to count", "self.count += n", "add {v} to {o}[ with its add method|]|call add on {o} with {v}"),
        Method("get", "", "returns count|returns the [current |]count", "return self.count", "[the count of {o}|what get returns for {o}]", True),
    ), "c counter tally clicks"),
    Class("Account BankAccount Wallet", (("balance", "money"),), "", (
        Method("deposit", "amount", "adds an amount to the balance|increases the balance by amount", "self.balance += amount", "deposit {v}[ into {o}|]|call deposit on {o} with {v}|put {v} into {o}"),
        Method("withdraw", "amount", "subtracts an amount from the balance|takes amount away from the balance", "self.balance -= amount", "withdraw {v}[ from {o}|]|call withdraw on {o} with {v}|take {v} out of {o}"),
        Method("is_empty", "", "returns [True if|whether] the balance is 0", "return self.balance == 0", "whether {o} is empty", True),
    ), "account acc wallet savings"),
    Class("Rectangle Box Room Rect", (("width", "small"), ("height", "small")), "", (
        Method("area", "", "returns width times height|returns the area", "return self.width * self.height", "the area of {o}", True),
        Method("perimeter", "", "returns the perimeter|returns twice the sum of width and height", "return 2 * (self.width + self.height)", "the perimeter of {o}", True),
        Method("scale", "factor", "multiplies width and height by a factor", "self.width *= factor\n        self.height *= factor", "scale {o} by {v}|call scale on {o} with {v}"),
        Method("is_square", "", "returns [True if|whether] width and height are equal", "return self.width == self.height", "whether {o} is a square", True),
    ), "r rect box room shape"),
    Class("Point Position Vector", (("x", "small"), ("y", "small")), "", (
        Method("move", "dx", "adds dx to x", "self.x += dx", "move {o} by {v}|call move on {o} with {v}"),
        Method("distance", "", "returns the distance [from|to] the origin|returns the square root of x squared plus y squared", "return (self.x ** 2 + self.y ** 2) ** 0.5", "the distance of {o} from the origin", True),
        Method("total", "", "returns x plus y", "return self.x + self.y", "the sum of the coordinates of {o}", True),
    ), "p point pos v"),
    Class("Person User Member", (("name", "person"), ("age", "age")), "", (
        Method("birthday", "", "adds 1 to age|increases age by [1|one]", "self.age += 1", "call birthday on {o}|let {o} have a birthday|celebrate the birthday of {o}"),
        Method("greet", "", "returns 'Hello, I am ' followed by the name", "return 'Hello, I am ' + self.name", "[the greeting of {o}|what greet returns for {o}]", True),
        Method("is_adult", "", "returns [True if|whether] age is at least 18", "return self.age >= 18", "whether {o} is an adult", True),
    ), "person p user member someone"),
    Class("Dog Cat Pet Animal", (("name", "person"),), "", (
        Method("speak", "", "returns the name followed by ' says hello'", "return self.name + ' says hello'", "what {o} says|the result of speak for {o}", True),
        Method("rename", "name", "changes the name to its argument", "self.name = name", "rename {o} to {w}|call rename on {o} with {w}"),
    ), "dog cat pet rex animal"),
    Class("Stack Pile", (), "items=[]", (
        Method("push", "item", "appends its argument to items|adds an item to the end of items", "self.items.append(item)", "push {v} onto {o}|push {v}[ onto {o}|]|put {v} on {o}"),
        Method("pop", "", "removes and returns the last item", "return self.items.pop()", "the item popped from {o}", True),
        Method("size", "", "returns the number of items|returns how many items there are", "return len(self.items)", "the size of {o}|the number of items on {o}", True),
    ), "s stack pile"),
    Class("Queue Line", (), "items=[]", (
        Method("enqueue", "item", "appends its argument to items", "self.items.append(item)", "enqueue {v}[ in {o}|]|add {v} to {o}"),
        Method("dequeue", "", "removes and returns the first item", "return self.items.pop(0)", "the item dequeued from {o}", True),
        Method("size", "", "returns the number of items", "return len(self.items)", "the size of {o}", True),
    ), "q queue line"),
    Class("Circle Disc", (("radius", "small"),), "", (
        Method("diameter", "", "returns twice the radius", "return 2 * self.radius", "the diameter of {o}", True),
        Method("area", "", "returns 3.14 times the radius squared", "return 3.14 * self.radius ** 2", "the area of {o}", True),
        Method("grow", "amount", "adds amount to the radius", "self.radius += amount", "grow {o} by {v}|call grow on {o} with {v}"),
    ), "c circle disc"),
    Class("Car Vehicle Train", (("speed", "small"),), "", (
        Method("accelerate", "amount", "adds an amount to speed|increases speed by amount", "self.speed += amount", "accelerate {o} by {v}|call accelerate on {o} with {v}"),
        Method("brake", "amount", "subtracts amount from speed", "self.speed -= amount", "brake {o} by {v}|call brake on {o} with {v}"),
        Method("stop", "", "sets speed to 0", "self.speed = 0", "stop {o}|call stop on {o}"),
    ), "car vehicle train"),
    Class("Temperature Thermometer", (("celsius", "small"),), "", (
        Method("fahrenheit", "", "returns celsius times 9 / 5 plus 32|returns the temperature in Fahrenheit", "return self.celsius * 9 / 5 + 32", "the temperature of {o} in Fahrenheit", True),
        Method("warm", "degrees", "adds degrees to celsius", "self.celsius += degrees", "warm {o} by {v}[ degrees|]|call warm on {o} with {v}"),
    ), "t temp weather"),
    Class("Cart Basket Bill", (), "prices=[]", (
        Method("add", "price", "appends a price to prices", "self.prices.append(price)", "add [a price of |]{v} to {o}|call add on {o} with {v}"),
        Method("total", "", "returns the sum of prices", "return sum(self.prices)", "the total of {o}", True),
        Method("count", "", "returns the number of prices", "return len(self.prices)", "the number of prices in {o}", True),
    ), "cart basket bill"),
    Class("Student Player Pupil", (("name", "person"),), "scores=[]", (
        Method("add_score", "score", "appends a score to scores", "self.scores.append(score)", "add [the|a] score [of |]{v} to {o}|call add_score on {o} with {v}|give {o} a score of {v}"),
        Method("average", "", "returns the average of scores", "return sum(self.scores) / len(self.scores)", "the average [score |]of {o}", True),
        Method("best", "", "returns the highest of scores", "return max(self.scores)", "the best score of {o}", True),
    ), "student player pupil"),
    Class("Book Story", (("title", "word"), ("pages", "pages")), "", (
        Method("is_long", "", "returns [True if|whether] pages is [greater|more] than 300", "return self.pages > 300", "whether {o} is long", True),
        Method("describe", "", "returns the title, a space and pages", "return f'{self.title} {self.pages}'", "the description of {o}", True),
    ), "book story novel"),
    Class("Light Lamp Switch", (), "on=False", (
        Method("toggle", "", "switches on between True and False|inverts on", "self.on = not self.on", "toggle {o}|call toggle on {o}"),
        Method("turn_off", "", "sets on to False", "self.on = False", "turn {o} off|turn off {o}"),
        Method("is_on", "", "returns on", "return self.on", "whether {o} is on", True),
    ), "lamp light switch"),
    Class("Timer Clock Watch", (), "seconds=0", (
        Method("tick", "", "adds 1 to seconds", "self.seconds += 1", "tick {o}|call tick on {o}|let {o} tick once"),
        Method("advance", "n", "adds n to seconds", "self.seconds += n", "advance {o} by {v}[ seconds|]|call advance on {o} with {v}"),
        Method("minutes", "", "returns seconds divided by 60 without the remainder", "return self.seconds // 60", "the minutes of {o}", True),
    ), "timer clock watch"),
)  # fmt: skip

_DEFINE = (
    "[write|define|create|make|implement] a class [called |named |]{C} {F}[ and|, and|. It has] [a method|the method] {m} that {D}|"
    "[write|define|create|make] a class [called |named |]{C} {F}[ with| and with] a method {m} that {D}|"
    "define {C}, a class {F}, with a method {m} that {D}|I need a class {C} {F} and a method {m} that {D}"
)
_FIELDS = "[with|that has|having] [an attribute|the attribute] {f} [set in its constructor|given to its constructor|given when it is created]|whose constructor takes {f} and stores it|that stores [a |the |]{f}"
_PAIRS = "[with|that has|having] the attributes {f} [set in its constructor|given to its constructor]|whose constructor takes {f} and stores them|that stores {f}"
_STATE = (
    "[with|that has|having] an attribute {f} that starts [as|at] {s}|whose {f} starts [as|at] {s}"
)
_NEW = "[create|make] [a|an instance of|an object of the class|a new] {C} [called|named|] {o}[ with {w}|]|set {o} to a [new |]{C}[ with {w}|]|let {o} be a {C}[ with {w}|]|[create|make] a {C}[ with {w}|] and [store it in|call it] {o}"
_NEW_PLAIN = "[create|make] [a|an instance of|an object of the class|a new] {C} [called|named|] {o}|set {o} to a [new |]{C}|let {o} be a {C}|[create|make] a {C} and [store it in|call it] {o}"


def _draw(kind: str, rng: Random) -> Any:
    return {
        "money": lambda: rng.choice((0, 50, 100, 200, 500)),
        "small": lambda: rng.randint(1, 12),
        "person": lambda: values.person(rng),
        "age": lambda: rng.randint(5, 70),
        "word": lambda: rng.choice(values.words()[:420]).capitalize(),
        "pages": lambda: rng.randint(80, 600),
    }[kind]()


def define_class(world: World, rng: Random) -> Step:
    """Define a class with its constructor and one or two methods."""
    row = rng.choice(CLASSES)
    name = next(n for n in rng.sample(row.names.split(), len(row.names.split())))
    methods = rng.sample(row.methods, rng.choice((1, 2, 2)))
    fields = [field for field, _ in row.fields]
    state, _, start = row.state.partition("=")
    lines = [f"self.{field} = {field}" for field in fields]
    lines += [f"self.{state} = {start}"] if state else []
    code = [f"class {name}:", f"    def __init__({', '.join(['self', *fields])}):"]
    code += [f"        {line}" for line in lines]
    for method in methods:
        arguments = ["self", *method.takes.split()]
        code += ["", f"    def {method.name}({', '.join(arguments)}):", f"        {method.body}"]
    slots = {"f": values.spoken(fields, rng) if fields else "", "s": start}
    parts = [expand(_PAIRS if len(fields) > 1 else _FIELDS, rng, slots)] if fields else []
    if state:
        said = "an empty list" if start == "[]" else start
        parts.append(expand(_STATE, rng, {"f": state, "s": said}))
    said = [(m.name, expand(m.does, rng, {})) for m in methods]
    does = said[0][1] + "".join(f" and a method {other} that {words}" for other, words in said[1:])
    slots = {
        "C": quoted(world, name, rng, defining=True),
        "F": " and ".join(parts),
        "m": said[0][0],
        "D": does,
    }
    known = Class(row.names, row.fields, row.state, tuple(methods), row.objects)
    return Step(expand(_DEFINE, rng, slots), "\n".join(code), (Var(name, detail=known),))


def use_class(world: World, rng: Random, var: Var) -> Step:
    """Make an object of a class."""
    row: Class = var.detail
    held = [_draw(kind, rng) for _, kind in row.fields]
    name = values.fresh_name(rng, "num", world.names, row.objects)
    pairs = [f"{field} {as_text(world, v)}" for (field, _), v in zip(row.fields, held, strict=True)]
    slots = {"C": var.name, "o": quoted(world, name, rng, defining=True)}
    if not held:
        prompt = expand(_NEW_PLAIN, rng, slots)
    else:
        bare = values.spoken([as_text(world, value) for value in held], rng)
        words = values.spoken(pairs, rng) if rng.random() < 0.7 else bare
        prompt = expand(_NEW.replace("[ with {w}|]", " with {w}"), rng, {**slots, "w": words})
    code = f"{name} = {var.name}({', '.join(map(repr, held))})"
    return Step(prompt, code, (Var(name, detail=row),))


def use_object(world: World, rng: Random, var: Var, mode: str) -> Step | None:
    """Call a method of an object, or show an attribute."""
    row: Class = var.detail
    label = quoted(world, var.name, rng)
    attributes = [field for field, _ in row.fields] + [row.state.partition("=")[0]] * bool(
        row.state
    )
    if mode == "print" and rng.random() < 0.5:
        field = rng.choice(attributes)
        words = "[print|show|display] [the {f} of {o}|{o}.{f}|the attribute {f} of {o}]|what is the {f} of {o}?[ Print it|]"
        return Step(expand(words, rng, {"f": field, "o": label}), f"print({var.name}.{field})")
    fitting = [method for method in row.methods if method.gives == (mode != "loose")]
    if not fitting:
        return None
    method = rng.choice(fitting)
    number = rng.randint(1, 30)
    argument: Any = values.person(rng) if method.takes == "name" else number
    slots = {"o": label, "v": str(number), "w": as_text(world, argument), "m": method.name}
    call = f"{var.name}.{method.name}({repr(argument) if method.takes else ''})"
    said = expand(method.use, rng, slots)
    if not method.gives:
        return Step(said, call, (Var(var.name, detail=row),))
    if mode == "print":
        words = "[print|show|display] {S}|call {m} on {o} and print the result|print what {m} of {o} returns"
        return Step(expand(words, rng, {**slots, "S": said}), f"print({call})")
    name = values.fresh_name(rng, "result", world.names, "result value answer")
    words = (
        "[store|save] {S} in {r}|set {r} to {S}|call {m} on {o} and [store|save] the result in {r}"
    )
    slots |= {"S": said, "r": quoted(world, name, rng, defining=True)}
    return Step(fill(expand(words, rng, slots), slots), f"{name} = {call}", (Var(name),))
