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
from typing import Any

from jaxformer.sandbox.program import describe
from jaxformer.sandbox.values import Decoder, Encoder, Invalid

LONGEST = 16 << 20
"""Bytes of one message; a longer one is refused."""

_HEAD = struct.Struct("=I")
_NAMED: tuple[Any, ...] = (len, iter, next, reversed, bool, repr, str, int, float, round)
_BUILT_IN: dict[str, Callable[..., Any]] = {
    f"__{function.__name__}__": function for function in _NAMED
}
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)


class Ended(Exception):
    """The other side is gone."""


class ProgramError(Exception):
    """An exception of the program that is of no built-in type, or an exit."""


class Module(str):
    """The name of a module that the other side has."""


class Remote:
    """Stands for an object of the other side. Equal only to itself, whatever the object says."""

    def __init__(self, peer: "Peer", number: int, kind: str) -> None:
        self.__dict__.update({"_peer": peer, "_number": number, "_kind": kind})

    def __getattr__(self, name: str) -> Any:
        return self._peer.call(self._number, "getattr", [name], {})

    def __setattr__(self, name: str, value: Any) -> None:
        self._peer.call(self._number, "setattr", [name, value], {})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return self._peer.call(self._number, "call", list(args), kwargs)

    def __hash__(self) -> int:
        return hash(self._number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and other._number == self._number


def _forward(name: str) -> Callable[..., Any]:
    def method(self: Remote, *args: Any) -> Any:
        return self._peer.call(self._number, "method", [name, *args], {})

    return method


for _name in (
    *("len", "getitem", "setitem", "delitem", "contains", "iter", "next", "reversed", "bool"),
    *("repr", "str", "int", "float", "index", "abs", "neg", "round", "enter", "exit"),
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"),
    *("radd", "rsub", "rmul", "lt", "le", "gt", "ge"),
):
    setattr(Remote, f"__{_name}__", _forward(f"__{_name}__"))


class Peer:
    """One side of the exchange.

    Args:
        source: Descriptor to read from.
        target: Descriptor to write to.
        root: The object that the other side knows as number 0.
        open: Whether the other side may ask for anything, or only call functions passed to it.
    """

    def __init__(self, source: int, target: int, root: object, *, open: bool) -> None:
        self._source = source
        self._target = target
        self._open = open
        self._mine: list[Any] = [root]
        self._numbers: dict[int, int] = {id(root): 0}
        self._remotes: dict[int, Remote] = {}

    def remote(self, number: int, kind: str = "object") -> Remote:
        """The other side's object of that number."""
        return self._remotes.setdefault(number, Remote(self, number, kind))

    def call(self, number: int, method: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Asks something of an object of the other side and waits for the answer.

        Args:
            number: The object; 0 is the root.
            method: "call", "getattr", "setattr", or "method" for a special method by name.
            args: Plain data, or what may be referred to. What the call does to lists and
                dictionaries among them is done to them here too.
            kwargs: Likewise.

        Raises:
            Ended: The other side is gone, or does not keep to the rules.
            Exception: What the call raised, if of a built-in type, else ProgramError.
        """
        encoder = Encoder(self._refer)
        request = {"number": number, "method": method}
        request |= {"args": encoder.encode(args), "kwargs": encoder.encode(kwargs)}
        self._write(request | {"table": encoder.table})
        while True:
            message = self._read()
            if "method" in message:
                self._answer(message)
                continue
            try:
                decoder = Decoder(message["table"], self._resolve, encoder.objects)
                if "raised" not in message:
                    return decoder.decode(message["result"])
            except (Invalid, KeyError, TypeError) as invalid:
                raise Ended(f"an answer that is no plain data: {invalid}") from None
            raise _exception(message["raised"], message.get("text"))

    def serve(self) -> None:
        """Answers the other side until it is gone."""
        while True:
            try:
                self._answer(self._read())
            except Ended:
                return

    def _answer(self, message: dict[str, Any]) -> None:
        try:
            decoder = Decoder(message["table"], self._resolve)
            args, kwargs = decoder.decode(message["args"]), decoder.decode(message["kwargs"])
            subject = self._mine[message["number"]]
            method = message["method"]
        except (Invalid, KeyError, TypeError, IndexError) as error:
            raise Ended(f"a call that is no plain data: {error}") from None
        known = {id(x): number for number, x in enumerate(decoder.objects)}
        try:
            try:
                encoder = Encoder(self._refer, known)
                answer = {"result": encoder.encode(self._do(subject, method, args, kwargs))}
            except BaseException as error:
                encoder = Encoder(self._refer, known)
                answer = _refusal(error)
            encoder.encode([args, kwargs])  # what the call has done to them
            self._write(answer | {"table": encoder.table})
        except (TypeError, ValueError) as error:
            self._write(_refusal(error) | {"table": []})

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
        if name in _BUILT_IN:
            return _BUILT_IN[name](subject, *others)
        function = getattr(operator, name, None) or getattr(type(subject), name)
        return function(subject, *others)

    def _refer(self, x: Any) -> tuple[str, Any]:
        if isinstance(x, Remote):
            return "yours", x._number
        if isinstance(x, types.ModuleType):
            return "module", x.__name__
        if not self._open and not isinstance(x, _FUNCTIONS):
            raise TypeError(f"a {type(x).__name__} is no plain data and cannot be passed")
        if id(x) not in self._numbers:
            self._numbers[id(x)] = len(self._mine)
            self._mine.append(x)
        return "mine", [self._numbers[id(x)], type(x).__name__]

    def _resolve(self, kind: str, content: Any) -> Any:
        if kind == "yours" and type(content) is int and 0 <= content < len(self._mine):
            return self._mine[content]
        if kind == "mine":
            number, name = content if isinstance(content, list) else (None, None)
            if type(number) is int and type(name) is str:
                return self.remote(number, name)
        if kind == "module" and type(content) is str:
            return Module(content)
        raise Invalid(f"an object of kind {kind!r}")

    def _write(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        if len(data) > LONGEST:
            raise ValueError(f"{len(data)} bytes of data are more than {LONGEST}")
        data = _HEAD.pack(len(data)) + data
        try:
            while data:
                data = data[os.write(self._target, data) :]
        except OSError as error:
            raise Ended("the other side is gone") from error

    def _read(self) -> dict[str, Any]:
        [size] = _HEAD.unpack(self._exactly(_HEAD.size))
        if size > LONGEST:
            raise Ended(f"a message of {size} bytes")
        try:
            message = json.loads(self._exactly(size))
        except (ValueError, RecursionError) as error:
            raise Ended(f"a message that is no JSON: {error}") from None
        if not isinstance(message, dict):
            raise Ended("a message that is no object")
        return message

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = os.read(self._source, min(size - len(data), 1 << 20))
            if not part:
                raise Ended("the other side is gone")
            data += part
        return bytes(data)


def _refusal(error: BaseException) -> dict[str, Any]:
    return {"raised": [kind.__name__ for kind in type(error).__mro__], "text": describe(error)}


def _exception(names: Any, text: Any) -> Exception:
    """The built-in exception nearest to one of the other side."""
    for name in names if isinstance(names, list) else ():
        kind = getattr(builtins, name, None) if isinstance(name, str) else None
        if kind in (None, Exception, BaseException) or not isinstance(kind, type):
            continue
        if issubclass(kind, Exception) and not issubclass(kind, UnicodeError):
            return kind(str(text).partition(": ")[2])
    return ProgramError(str(text))
