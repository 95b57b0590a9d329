"""Plain data as JSON, so that it can cross between processes that don't trust each other.

A message holds a table of objects and a root: containers refer to their elements by number, so that
shared and circular references survive and nothing is nested. What is no plain data crosses as a
reference to an object that stays where it is.

Numbers, strings, None and booleans stand for themselves (integers of more than 53 bits in
hexadecimal); anything else is `{"ref": number}`, and the table's entry is `[kind, content, was]`.
`was` numbers the receiver's own object that this is the new state of, or is None.
"""

import base64
import builtins
import collections
import datetime
import decimal
import fractions
import sys
from collections.abc import Callable
from typing import Any

Table = list[list[Any]]

_TEXTS: dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    bytes: ("bytes", lambda x: x.decode("latin-1"), lambda s: s.encode("latin-1")),
    complex: ("complex", repr, complex),
    decimal.Decimal: ("Decimal", str, decimal.Decimal),
    fractions.Fraction: ("Fraction", str, fractions.Fraction),
    datetime.date: ("date", str, datetime.date.fromisoformat),
    datetime.time: ("time", str, datetime.time.fromisoformat),
    datetime.datetime: ("datetime", str, datetime.datetime.fromisoformat),
}
_FROM_TEXT = {kind: decode for kind, _, decode in _TEXTS.values()}
_SEQUENCES: dict[type, str] = {
    list: "list",
    set: "set",
    collections.deque: "deque",
    tuple: "tuple",
    frozenset: "frozenset",
}
_MUTABLE: dict[str, type] = {
    "list": list,
    "set": set,
    "deque": collections.deque,
    "bytearray": bytearray,
}
_DICTIONARIES: dict[str, type] = {
    kind.__name__: kind
    for kind in (dict, collections.Counter, collections.OrderedDict, collections.defaultdict)
}
_ARRAY_KINDS = "biufcUS"  # of numpy's types: numbers, truth values and text


class Invalid(Exception):
    """A message that no honest encoder writes."""


class Encoder:
    """Writes the table of one message.

    Args:
        refer: The kind and content for an object that is no plain data; raises TypeError if it may
            not be referred to.
        known: The receiver's numbers of its own objects, by `id` of their copies here.

    Attributes:
        table: The entries so far.
        objects: The objects that they describe.
    """

    def __init__(
        self, refer: Callable[[Any], tuple[str, Any]], known: dict[int, int] | None = None
    ) -> None:
        self.table: Table = []
        self.objects: list[Any] = []
        self._refer = refer
        self._known = known or {}
        self._numbers: dict[int, int] = {}

    def encode(self, root: Any) -> Any:
        """Encodes an object and all that it holds."""
        done = len(self.table)
        encoded = self._value(root)
        while done < len(self.table):  # a loop, for what is nested deeper than the stack
            kind, content, _ = self.table[done]
            if kind in _DICTIONARIES:
                pairs = [[self._value(k), self._value(v)] for k, v in content.items()]
                makes = self._value(getattr(content, "default_factory", None))
                self.table[done][1] = [pairs, makes]
            elif kind in _SEQUENCES.values() or kind == "slice":
                self.table[done][1] = [self._value(element) for element in content]
            elif kind == "namedtuple":
                fields = [self._value(element) for element in content]
                self.table[done][1] = [type(content).__name__, list(content._fields), fields]
            done += 1
        return encoded

    def _value(self, x: Any) -> Any:
        kind = type(x)
        if x is None or kind in (bool, float):
            return x
        if kind is str:
            # JSON would make one character of two surrogates.
            return x if x.isascii() or _is_text(x) else self._entry(x, "text", _halves(x))
        if kind is int:
            return x if abs(x) < 1 << 53 else self._entry(x, "int", hex(x))
        return self._entry(x, *self._describe(x, kind))

    def _describe(self, x: Any, kind: type) -> tuple[str, Any]:
        """The kind and content of an object; of a container the container itself, for later."""
        if kind in _SEQUENCES:
            return _SEQUENCES[kind], x
        if kind in _DICTIONARIES.values():
            return kind.__name__, x
        if kind in _TEXTS:
            name, encode, _ = _TEXTS[kind]
            return name, encode(x)
        if kind is bytearray:
            return "bytearray", x.decode("latin-1")
        if kind is slice:
            return "slice", (x.start, x.stop, x.step)
        if isinstance(x, type) and getattr(builtins, x.__name__, None) is x:
            return "type", x.__name__
        if kind is range:
            return "range", [hex(x.start), hex(x.stop), hex(x.step)]
        if kind is datetime.timedelta:
            return "timedelta", [x.days, x.seconds, x.microseconds]
        if isinstance(x, tuple) and hasattr(x, "_fields"):
            return "namedtuple", x
        return _describe_array(x) or self._refer(x)

    def _entry(self, x: Any, kind: str, content: Any) -> dict[str, int]:
        if id(x) not in self._numbers:
            self._numbers[id(x)] = len(self.table)
            self.table.append([kind, content, self._known.get(id(x))])
            self.objects.append(x)
        return {"ref": self._numbers[id(x)]}


def _is_text(x: str) -> bool:
    try:
        x.encode()
    except UnicodeEncodeError:
        return False
    return True


def _halves(x: str) -> str:
    return x.encode("utf-8", "surrogatepass").decode("latin-1")


def _describe_array(x: Any) -> tuple[str, Any] | None:
    """The kind and content of numpy's arrays and numbers."""
    numpy: Any = sys.modules.get("numpy")
    if not numpy or not isinstance(x, (numpy.ndarray, numpy.generic)):
        return None
    if x.dtype.kind not in _ARRAY_KINDS:
        return None
    data = base64.b64encode(numpy.ascontiguousarray(x).tobytes()).decode()
    return "array" if isinstance(x, numpy.ndarray) else "number", [x.dtype.str, list(x.shape), data]


class Decoder:
    """Reads the table of one message; the sender may be hostile.

    Args:
        table: The entries.
        resolve: The object for the kind and content of a reference; raises Invalid.
        mine: The receiver's own objects, whose new state the message may tell.

    Attributes:
        objects: What was decoded, in the order of the table.
    """

    def __init__(
        self, table: Any, resolve: Callable[[str, Any], Any], mine: list[Any] | None = None
    ) -> None:
        self._table: Table = table
        self._resolve = resolve
        self._mine = mine or []
        try:
            # Containers first, then what is in them, so that they may hold each other.
            self.objects: list[Any] = [self._begin(*entry) for entry in table]
            for number in reversed(range(len(table))):  # elements mostly come after what holds them
                if self.objects[number] is _LATER:
                    self.decode({"ref": number})
            for number in range(len(table)):
                self._fill(number)
        except Invalid:
            raise
        except Exception as error:
            raise Invalid(f"{type(error).__name__}: {error}") from None

    def decode(self, encoded: Any) -> Any:
        """The object that a value stands for."""
        if isinstance(encoded, dict):
            number = encoded.get("ref")
            if type(number) is not int or not 0 <= number < len(self.objects):
                raise Invalid("a reference to nothing")
            if self.objects[number] is _LATER:
                self.objects[number] = self._frozen(*self._table[number][:2])
            return self.objects[number]
        if encoded is not None and not isinstance(encoded, (bool, int, float, str)):
            raise Invalid("a nested value")
        return encoded

    def _begin(self, kind: str, content: Any, was: int | None) -> Any:
        if kind in _MUTABLE or kind in _DICTIONARIES or kind == "array":
            make = _MUTABLE.get(kind) or _DICTIONARIES.get(kind)
            new = make() if make else self._array(content)
            if was is None:
                return new
            if type(was) is not int or not 0 <= was < len(self._mine):
                raise Invalid("the new state of nothing")
            old = self._mine[was]
            if not isinstance(old, type(new)):
                raise Invalid("the new state of another object")
            if kind != "array":
                return old
            if (old.shape, old.dtype) == (new.shape, new.dtype) and old.flags.writeable:
                old[...] = new
                return old
            return new
        if kind in ("tuple", "frozenset", "namedtuple", "slice"):
            return _LATER
        if kind == "text":
            return content.encode("latin-1").decode("utf-8", "surrogatepass")
        if kind == "type" and isinstance(getattr(builtins, content), type):
            return getattr(builtins, content)
        if kind in _FROM_TEXT:
            return _FROM_TEXT[kind](content)
        if kind == "int":
            return int(content, 16)
        if kind == "range":
            return range(*(int(part, 16) for part in content))
        if kind == "timedelta":
            return datetime.timedelta(*content)
        if kind == "number":
            return self._array(content)[()]
        return self._resolve(kind, content)

    def _fill(self, number: int) -> None:
        kind, content, _ = self._table[number]
        x = self.objects[number]
        if kind in _DICTIONARIES:
            pairs = [(self.decode(key), self.decode(value)) for key, value in content[0]]
            if kind == "defaultdict":
                x.default_factory = self.decode(content[1])
            x.clear()
            for key, value in pairs:  # Counter.update would add, dict.update mislead OrderedDict
                x[key] = value
        elif kind == "bytearray":
            x[:] = content.encode("latin-1")
        elif kind in _MUTABLE:
            elements = [self.decode(element) for element in content]
            x.clear()
            (x.update if kind == "set" else x.extend)(elements)

    def _frozen(self, kind: str, content: Any) -> Any:
        if kind == "namedtuple":
            name, fields, values = content
            make = collections.namedtuple(name, fields)  # which takes identifiers only
            return make(*map(self.decode, values))
        if kind == "slice":
            return slice(*map(self.decode, content))
        make = tuple if kind == "tuple" else frozenset
        return make(map(self.decode, content))

    def _array(self, content: Any) -> Any:
        import numpy as np  # where the other side has it; only then do arrays cross

        dtype, shape, data = content
        if np.dtype(dtype).kind not in _ARRAY_KINDS:
            raise Invalid("an array of objects")
        flat = np.frombuffer(base64.b64decode(data), np.dtype(dtype))
        return flat.reshape(tuple(shape)).copy()


_LATER = object()
