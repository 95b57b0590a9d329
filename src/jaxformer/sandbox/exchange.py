"""Calls between a program and its tests, in two processes, over two pipes.

Both sides speak the same way. A call names an object of the other side, a method of it and the
arguments; while one side waits for the answer it serves the other's calls. Only plain data crosses
(see `values`). The program's side lets itself be asked for anything; the tests' side only lets the
functions be called that it passed.
"""

import builtins
import json
import operator
import os
import struct
import types
from collections.abc import Callable
from typing import Any, NoReturn

from jaxformer.sandbox.program import describe
from jaxformer.sandbox.values import Decoder, Encoder, Invalid

LONGEST = 16 << 20
"""Bytes of one message; a longer one is refused."""

GONE = "The program ended before its tests did."

_HEAD = struct.Struct("=I")
_TOLD = ("__name__", "__qualname__", "__doc__", "__module__")
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)


class Broken(BaseException):
    """The exchange cannot go on. Tests that expect exceptions are not to take it for one."""


class ProgramError(Exception):
    """An exception of the program that is of no built-in type, or an exit."""


class Module:
    """A module that the other side has."""

    def __init__(self, name: str) -> None:
        self.name = name


class Remote:
    """Stands for an object of the other side.

    What it can be asked for is data, to be judged here. It is not asked for judgements: it equals
    only itself, has no order, and calculates with plain data only what is no plain data.
    """

    def __init__(self, peer: "Peer", number: int) -> None:
        self.__dict__.update({"_peer": peer, "_number": number})

    def __getattr__(self, name: str) -> Any:
        # NumPy and ctypes look for such names, and take what they find for addresses in memory.
        if name == "_as_parameter_" or (name[:2] == "__" == name[-2:] and name not in _TOLD):
            raise AttributeError(name)
        return self._peer.call(self._number, "getattr", [name])

    def __setattr__(self, name: str, value: Any) -> None:
        self._peer.call(self._number, "setattr", [name, value])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return self._peer.call(self._number, "call", list(args), kwargs)

    def __hash__(self) -> int:
        return hash(self._number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and other._number == self._number


_NAMED: tuple[Any, ...] = (len, iter, next, reversed, bool, repr, str)
_ASKED: dict[str, Callable[..., Any]] = {
    **{f"__{function.__name__}__": function for function in _NAMED},
    **{name: getattr(operator, name) for name in ("__getitem__", "__setitem__", "__delitem__")},
    "__enter__": lambda x: type(x).__enter__(x),
    "__exit__": lambda x, *args: type(x).__exit__(x, *args),
}
_OPERATORS = "add sub mul truediv floordiv mod pow matmul and or xor neg pos invert"
_CALCULATIONS: dict[str, Callable[..., Any]] = {
    f"__{name}__": getattr(operator, f"__{name}__") for name in _OPERATORS.split()
}


def _ask(name: str) -> Callable[..., Any]:
    def method(self: Remote, *args: Any) -> Any:
        return self._peer.call(self._number, "method", [name, *args])

    return method


def _calculate(name: str) -> Callable[..., Any]:
    def method(self: Remote, *args: Any) -> Any:
        result = self._peer.call(self._number, "method", [name, *args])
        if not isinstance(result, Remote) and not all(isinstance(x, Remote) for x in args):
            raise TypeError(f"{name} of an object of the program must not give plain data")
        return result

    return method


for _name in _ASKED:
    setattr(Remote, _name, _ask(_name))
for _name in _CALCULATIONS:
    setattr(Remote, _name, _calculate(_name))


class Peer:
    """One side of the exchange.

    Args:
        source: Descriptor to read from.
        target: Descriptor to write to.
        root: The object that the other side knows as number 0.
        open: Whether the other side may ask for anything, or only call functions passed to it.

    Attributes:
        calls: How often this side asked the other.
        broken: Why the exchange came to its end, if it did.
    """

    def __init__(self, source: int, target: int, root: object, *, open: bool) -> None:
        self.calls = 0
        self.broken: str | None = None
        self._source = source
        self._target = target
        self._open = open
        self._mine: list[Any] = [root]
        self._numbers: dict[int, int] = {id(root): 0}
        self._remotes: dict[int, Remote] = {}

    def call(
        self, number: int, method: str, args: list[Any], kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Asks something of an object of the other side and waits for the answer.

        Args:
            number: The object; 0 is the root.
            method: "call", "getattr", "setattr", or "method" for a special method by name.
            args: Plain data, or what may be referred to. What the call does to lists and
                dictionaries among them is done to them here too.
            kwargs: Likewise.

        Raises:
            Broken: The other side is gone, does not keep to the rules, or cannot be told of args.
            Exception: What the call raised, if of a built-in type, else ProgramError.
        """
        self.calls += 1
        encoder = Encoder(self._refer)
        try:
            request: dict[str, Any] = {"number": number, "method": method}
            request |= {"args": encoder.encode(args), "kwargs": encoder.encode(kwargs or {})}
            self._write(request | {"table": encoder.table})
        except (TypeError, ValueError) as error:
            self._break(f"The tests cannot pass this: {error}.")
        while True:
            message = self._read()
            if "method" in message:
                self._answer(message)
                continue
            if "broken" in message:
                self._break(f"The program's answer cannot be told: {message['broken']}.")
            try:
                decoder = Decoder(message["table"], self._resolve, encoder.objects)
                if "raised" not in message:
                    return decoder.decode(message["result"])
                raised = _exception(message["raised"], message["args"], str(message["text"]))
                if isinstance(raised, (StopIteration, StopAsyncIteration)) and (
                    args[:1] != ["__next__"] or method != "method"
                ):  # would end a loop of the tests
                    raised = ProgramError(str(message["text"]))
            except (Invalid, KeyError, TypeError) as error:
                self._break(f"The program's answer is no plain data: {error}.")
            raise raised

    def serve(self) -> None:
        """Answers the other side until it is gone."""
        while True:
            try:
                self._answer(self._read())
            except Broken:
                return

    def _answer(self, message: dict[str, Any]) -> None:
        try:
            decoder = Decoder(message["table"], self._resolve)
            args, kwargs = decoder.decode(message["args"]), decoder.decode(message["kwargs"])
            subject = self._mine[message["number"]]
            method = message["method"]
        except (Invalid, KeyError, TypeError, IndexError) as error:
            self._break(f"The program's call is no plain data: {error}.")
        known = {id(x): number for number, x in enumerate(decoder.objects)}
        try:
            encoder = Encoder(self._refer, known)
            answer = {"result": encoder.encode(self._do(subject, method, args, kwargs))}
        except Broken:
            raise
        except BaseException as error:
            encoder = Encoder(self._refer, known)
            answer = {
                "raised": [kind.__name__ for kind in type(error).__mro__],
                "args": [x for x in error.args if isinstance(x, (str, int, float, type(None)))],
                "text": describe(error),
            }
        try:
            encoder.encode([args, kwargs])  # what the call has done to them
            self._write(answer | {"table": encoder.table})
        except (TypeError, ValueError) as error:
            self._write({"broken": str(error)})

    def _do(self, subject: Any, method: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if method == "call":
            return subject(*args, **kwargs)
        if not self._open:
            raise TypeError("only functions that were passed may be called")
        if method == "getattr":
            return getattr(subject, *args)
        if method == "setattr":
            return setattr(subject, *args)
        name, *others = args
        return (_ASKED | _CALCULATIONS)[name](subject, *others)

    def _refer(self, x: Any) -> tuple[str, Any]:
        if isinstance(x, Remote):
            return "yours", x._number
        if isinstance(x, types.ModuleType):
            return "module", x.__name__
        if not self._open and not isinstance(x, _FUNCTIONS):
            raise TypeError(f"a {type(x).__name__} is no plain data")
        if id(x) not in self._numbers:
            self._numbers[id(x)] = len(self._mine)
            self._mine.append(x)
        return "mine", self._numbers[id(x)]

    def _resolve(self, kind: str, content: Any) -> Any:
        if kind == "yours" and type(content) is int and 0 <= content < len(self._mine):
            return self._mine[content]
        if kind == "mine" and type(content) is int:
            return self._remotes.setdefault(content, Remote(self, content))
        if kind == "module" and type(content) is str:
            return Module(content)
        raise Invalid(f"an object of kind {kind!r}")

    def _write(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        if len(data) > LONGEST:
            raise ValueError(f"{len(data)} bytes are more than {LONGEST}")
        data = _HEAD.pack(len(data)) + data
        try:
            while data:
                data = data[os.write(self._target, data) :]
        except OSError:
            self._break(GONE)

    def _read(self) -> dict[str, Any]:
        [size] = _HEAD.unpack(self._exactly(_HEAD.size))
        if size > LONGEST:
            self._break(f"The program's answer of {size} bytes is too long.")
        try:
            message = json.loads(self._exactly(size))
        except (ValueError, RecursionError) as error:
            self._break(f"The program's answer is no JSON: {error}.")
        if not isinstance(message, dict):
            self._break("The program's answer is no object.")
        return message

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = os.read(self._source, min(size - len(data), 1 << 20))
            if not part:
                self._break(GONE)
            data += part
        return bytes(data)

    def _break(self, why: str) -> NoReturn:
        self.broken = self.broken or why
        raise Broken(why)


def _exception(names: Any, args: Any, text: str) -> Exception:
    """The built-in exception nearest to one of the other side."""
    for name in names if isinstance(names, list) else ():
        kind = getattr(builtins, name, None) if isinstance(name, str) else None
        if kind in (None, Exception, BaseException) or not isinstance(kind, type):
            continue
        if issubclass(kind, Exception):
            try:
                return kind(*(args if isinstance(args, list) else ()))
            except Exception:  # it wants other arguments
                break
    return ProgramError(text)
