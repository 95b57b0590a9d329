"""Plain data crosses as it was; what a hostile sender writes is refused or is plain data too."""

import collections
import contextlib
import datetime
import json
import pickle
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxformer.sandbox.values import Decoder, Encoder, Invalid


class Point(NamedTuple):
    x: Any
    y: Any


class Marker:
    """Stands for an object that stays where it is."""


def refer(x: Any) -> tuple[str, Any]:
    raise TypeError(f"a {type(x).__name__}")


def resolve(kind: str, content: Any) -> Any:
    raise Invalid(f"an object of kind {kind!r}")


def cross(x: Any) -> Any:
    encoder = Encoder(refer)
    root = encoder.encode(x)
    table, root = json.loads(json.dumps([encoder.table, root]))
    return Decoder(table, resolve).decode(root)


def assert_same(a: Any, b: Any) -> None:
    """Equal in types and signs too; `repr` tells 0.0 from -0.0 and agrees about nan."""
    assert type(a) is type(b) or (type(a).__name__, a._fields) == ("Point", ("x", "y"))
    if isinstance(a, (set, frozenset)):
        assert sorted(map(repr, a)) == sorted(map(repr, b))
    elif isinstance(a, dict):
        assert len(a) == len(b)
        for (k, v), (k2, v2) in zip(a.items(), b.items(), strict=True):
            assert_same(k, k2)
            assert_same(v, v2)
    elif isinstance(a, (list, tuple, collections.deque)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert repr(a) == repr(b)


whole = st.integers() | st.integers(-(2**54), 2**54) | st.integers().map(lambda x: x**50)
offsets = st.integers(-86399, 86399).map(
    lambda seconds: datetime.timezone(datetime.timedelta(seconds=seconds))
)
text = st.text(st.characters(), max_size=20) | st.text("a\ud83d\ude00\udfff\0\n", max_size=4)
hashable = (
    st.none()
    | st.booleans()
    | whole
    | st.floats()
    | text
    | st.binary(max_size=20)
    | st.complex_numbers()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.dates()
    | st.times(timezones=st.none() | offsets).map(lambda x: x.replace(fold=0))
    | st.datetimes(timezones=st.none() | offsets).map(lambda x: x.replace(fold=0))
    | st.timedeltas()
    | st.builds(range, whole, whole, st.integers(1, 2**70))
)
keys = st.recursive(
    hashable.filter(lambda x: x == x),
    lambda inner: (
        st.tuples(inner, inner)
        | st.lists(inner, max_size=3).map(tuple)
        | st.builds(Point, inner, inner)
    ),
    max_leaves=6,
)
plain = st.recursive(
    hashable | st.builds(bytearray, st.binary(max_size=9)) | st.frozensets(keys, max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=4).map(collections.deque)
        | st.dictionaries(keys, inner, max_size=4)
        | st.sets(keys, max_size=4)
        | st.tuples(inner, inner).map(lambda pair: [pair[0], pair[1], pair[0]])
    ),
    max_leaves=20,
)


@given(plain)
@settings(max_examples=200, deadline=None)
def test_plain_data_crosses_as_it_was(x: Any) -> None:
    assert_same(cross(x), x)


def test_named_tuples_keep_their_names() -> None:
    [point] = cross([Point(1, (2, [3]))])
    assert (type(point).__name__, point._fields, point) == ("Point", ("x", "y"), (1, (2, [3])))


@pytest.mark.parametrize(
    "x",
    [
        collections.Counter("abracadabra"),
        collections.OrderedDict(b=1, a=2),
        collections.defaultdict(list, {(1, "x"): [1]}),
    ],
)
def test_kinds_of_dictionaries_stay_what_they_are(x: Any) -> None:
    assert type(cross(x)) is type(x)
    assert list(cross(x).items()) == list(x.items())


def test_sharing_and_cycles_survive() -> None:
    shared: list[Any] = []
    loop: dict[Any, Any] = {"a": (shared, shared), "b": collections.deque([shared])}
    loop["me"] = [loop]
    copy = cross(loop)
    assert copy["a"][0] is copy["a"][1] is copy["b"][0]
    assert copy["me"][0] is copy
    by_tuple: list[Any] = []
    by_tuple.append((by_tuple, frozenset([1])))
    copy = cross(by_tuple)
    assert copy[0][0] is copy
    one, other = cross([[], []])
    assert one is not other


def test_depth_is_no_matter() -> None:
    nested: Any = []
    for number in range(100_000):
        nested = [nested] if number % 2 else {"k": nested}
    copy, depth = cross(nested), 0
    while copy:
        copy, depth = copy[0] if isinstance(copy, list) else copy["k"], depth + 1
    assert depth == 100_000


def test_deep_tuples_cross() -> None:
    nested: Any = ()
    for _ in range(10_000):
        nested = (nested,)
    copy, depth = cross(nested), 0
    while copy:
        copy, depth = copy[0], depth + 1
    assert depth == 10_000


@pytest.mark.parametrize("kind", "?bhilBHILefdgFDG")
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
def test_arrays_keep_shape_and_type(kind: str, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    for dtype in (np.dtype(kind).newbyteorder("<"), np.dtype(kind).newbyteorder(">")):
        array = np.asarray(random.integers(0, 2, shape) * 3).astype(dtype)
        for x in (array, array.T, array[..., ::-1] if shape else array):
            copy = cross(x)
            assert (copy.dtype, copy.shape, copy.flags.writeable) == (x.dtype, x.shape, True)
            np.testing.assert_array_equal(copy, x)
        number = np.dtype(kind).type(3)
        assert_same(cross(number), number)


@pytest.mark.parametrize("array", [np.array([Marker()]), np.array([(1, 2)], "i4,i4")])
def test_arrays_of_objects_do_not_cross(array: Any) -> None:
    with pytest.raises(TypeError):
        cross(array)


def test_what_is_no_plain_data_is_referred_to() -> None:
    class Text(str):
        __slots__ = ()

    class Liar(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    for x in (Marker(), Text("x"), Liar(3), len, Ellipsis, np.array([None])):
        encoder = Encoder(lambda x: ("mine", type(x).__name__))
        assert encoder.encode([x]) == {"ref": 0}
        assert encoder.table[1][:2] == ["mine", type(x).__name__]


# --- the new state of what was sent ---------------------------------------------------------------


def after(sent: Any, change: Any) -> Any:
    """What a receiver does to a copy of the arguments, told to the sender."""
    there = Encoder(refer)
    root = there.encode(sent)
    decoder = Decoder(json.loads(json.dumps(there.table)), resolve)
    arguments = decoder.decode(root)
    change(arguments)
    back = Encoder(refer, {id(x): number for number, x in enumerate(decoder.objects)})
    root = back.encode(arguments)
    table = json.loads(json.dumps(back.table))
    return Decoder(table, resolve, there.objects).decode(root)


@pytest.mark.parametrize(
    ("x", "change", "expected"),
    [
        ([3, 1], lambda x: x.sort(), [1, 3]),
        ({"a": 1}, lambda x: x.update(b=2), {"a": 1, "b": 2}),
        ({1, 2}, lambda x: x.discard(1), {2}),
        (collections.deque([1, 2]), lambda x: x.rotate(), collections.deque([2, 1])),
        (collections.Counter("aab"), lambda x: x.update(c=3), {"a": 2, "b": 1, "c": 3}),
        (collections.OrderedDict(a=1, b=2), lambda x: x.pop("a"), {"b": 2}),
        (collections.defaultdict(int, a=1), lambda x: x.update(a=5), {"a": 5}),
        (bytearray(b"ab"), lambda x: x.reverse(), bytearray(b"ba")),
    ],
)
def test_changes_keep_identity(x: Any, change: Any, expected: Any) -> None:
    kind, holder = type(x), [x, (x,)]
    copy = after(holder, lambda arguments: change(arguments[0]))
    assert copy is holder
    assert copy[0] is x is copy[1][0]
    assert (type(x), x) == (kind, expected)


def test_changes_of_arrays_keep_identity() -> None:
    array = np.arange(3.0)
    copy = after([array], lambda x: x[0].__setitem__(0, 7.0))
    assert copy[0] is array
    assert array.tolist() == [7, 1, 2]
    copy = after([array], lambda x: x.__setitem__(0, np.arange(2)))
    assert copy[0].tolist() == [0, 1]
    assert array.tolist() == [7, 1, 2]
    array.flags.writeable = False
    assert after([array], list)[0].tolist() == [7, 1, 2]


def test_arguments_of_kinds_that_become_others_come_back() -> None:
    matrix: Any = np.array([[1, 2]]).view(np.recarray)
    assert after([matrix], list)[0].tolist() == [[1, 2]]


@pytest.mark.parametrize("was", [-1, 1, 99, True, 0.0, "0", [0], {"ref": 0}])
def test_the_state_of_others_is_refused(was: Any) -> None:
    mine = [[1, 2]]
    with pytest.raises(Invalid):
        Decoder([["list", [], was]], resolve, mine)
    for kind in ("set", "dict", "deque", "bytearray"):
        with pytest.raises(Invalid):
            Decoder([[kind, "" if kind == "bytearray" else [], 0]], resolve, mine)
    assert mine == [[1, 2]]


# --- hostile tables -------------------------------------------------------------------------------

KINDS = [
    *("list", "set", "deque", "dict", "bytearray", "tuple", "frozenset", "namedtuple", "int"),
    *("range", "timedelta", "number", "array", "bytes", "complex", "Decimal", "Fraction", "date"),
    *("time", "datetime", "mine", "yours", "module", "object", "__import__", "eval"),
]
words = st.sampled_from(
    [*KINDS, "", "x", "0x7", "<f8", "O", "|O", "V8", "i4,i4", "AAAA", "__class__"]
)
numbers = st.integers(-3, 12) | st.sampled_from([-(2**63), 2**63, 10**30])
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.floats() | words | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(words, inner, max_size=3)
        | numbers.map(lambda n: {"ref": n})
    ),
    max_leaves=12,
)
entries = st.tuples(st.sampled_from(KINDS), anything, st.none() | numbers).map(list)


@given(anything | st.lists(entries, max_size=6), anything)
@settings(max_examples=1500, deadline=None)
def test_any_table_is_refused_or_decoded(table: Any, root: Any) -> None:
    mine: list[Any] = [[1], {"a": 1}, {1}, np.zeros(2), collections.deque([1]), bytearray(b"x")]
    with contextlib.suppress(Invalid):
        Decoder(table, resolve, mine).decode(root)


def ran(*_: object) -> NoReturn:
    raise AssertionError("a table ran code")


@pytest.mark.parametrize(
    ("entry", "root"),
    [
        (["list", [{"ref": 1}], None], {"ref": 0}),
        (["list", [{"ref": -1}], None], {"ref": 0}),
        (["list", [{"ref": True}], None], {"ref": 0}),
        (["list", [{"ref": 2**80}], None], {"ref": 0}),
        (["list", [[]], None], {"ref": 0}),
        (["list", [{}], None], {"ref": 0}),
        (["list", {"ref": 0}, None], [0]),
        (["list", [], None], {"ref": 1}),
        (["list", [], None], {"ref": False}),
        (["tuple", [{"ref": 0}], None], {"ref": 0}),
        (["frozenset", [{"ref": 0}], None], {"ref": 0}),
        (["namedtuple", ["a b", ["x"], [1]], None], {"ref": 0}),
        (["namedtuple", ["P", ["x=ran()"], [1]], None], {"ref": 0}),
        (["namedtuple", ["P", ["_class"], [1]], None], {"ref": 0}),
        (["namedtuple", ["P", ["x", "y"], [1]], None], {"ref": 0}),
        (["dict", [[{"ref": 0}, 1]], None], {"ref": 0}),
        (["dict", [[1, 2, 3]], None], {"ref": 0}),
        (["array", ["O", [1], "AAAAAAAAAAA="], None], {"ref": 0}),
        (["array", ["i4,O", [1], "AAAAAAAAAAA="], None], {"ref": 0}),
        (["array", ["<f8", [1 << 40], "AAAAAAAAAAA="], None], {"ref": 0}),
        (["int", "0x" + "g", None], {"ref": 0}),
        (["bytes", "\u1234", None], {"ref": 0}),
        (["Decimal", "ran()", None], {"ref": 0}),
        (["__reduce__", [], None], {"ref": 0}),
        (["timedelta", [10**9, 0, 0], None], {"ref": 0}),
    ],
)
def test_what_no_honest_sender_writes_is_refused(entry: Any, root: Any) -> None:
    with pytest.raises(Invalid):
        Decoder([entry], resolve).decode(root)


class Bomb:
    def __reduce__(self) -> Any:
        return ran, ()


def test_pickles_stay_bytes() -> None:
    for kind in (bytes, bytearray):
        x = kind(pickle.dumps(Bomb()))
        assert_same(cross(x), x)


def test_a_long_chain_of_tuples_overflows_nothing() -> None:
    chain = [["tuple", [{"ref": number + 1}], None] for number in range(200_000)]
    with contextlib.suppress(Invalid):
        Decoder([*chain, ["tuple", [], None]], resolve)
