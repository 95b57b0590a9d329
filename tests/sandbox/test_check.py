"""Programs judged by tests: honest ones pass, wrong ones fail with a reason, cheats don't pass."""

import pytest

from jaxformer.sandbox import Limits, Pool, check

QUICK = Limits(wall_seconds=2.0)


def cases(text: str) -> dict[str, str]:
    """Texts by their titles, which stand between "## " and " |"."""
    return {
        title: body.lstrip(" ")
        for title, _, body in (part.partition(" |") for part in text.split("## ")[1:])
    }


@pytest.fixture
def pool(shared: Pool) -> Pool:
    return shared


# --- honest programs ------------------------------------------------------------------------------

HONEST = cases(r"""
## numbers, text, defaults and keywords |
def scale(x, by=3, *more, plus=0): return x * by + sum(more, plus) if more else x * by
--
assert scale(2) == 6 and scale(2, 5) == 10 and scale(2, 1, 4, 5, plus=1) == 12
assert scale(2**70) == 3 * 2**70 and scale(0.5) == 1.5 and scale('é🙂') == 'é🙂' * 3
## results that count, keep an order or make what is missing |
from collections import Counter, OrderedDict, defaultdict
def letters(s): return Counter(s)
def turned(d): d.move_to_end('a'); return d
def fill(d): d['new'].append(1)
--
from collections import Counter, OrderedDict, defaultdict
assert letters('abb').most_common(1) == [('b', 2)] and letters('a')['z'] == 0
assert turned(OrderedDict(a=1, b=2)) == OrderedDict(b=2, a=1)
d = defaultdict(list); fill(d); assert d == {'new': [1]} and d['x'] == []
## arguments changed in place |
def spoil(a, b, c):
    a.sort(); b['deep'][0].append(1); c.discard(2); c.add('new')
--
a, b, c = [3, 1, 2], {'deep': [[]]}, {1, 2}
inner = b['deep'][0]; spoil(a, b, c)
assert (a, b, c) == ([1, 2, 3], {'deep': [[1]]}, {1, 'new'}) and inner == [1]
## kinds of dictionaries changed in place |
def count(d, key): d[key] = d.get(key, 0) + 1
--
from collections import Counter, OrderedDict, defaultdict
for kind in (Counter, OrderedDict, defaultdict, dict):
    d = kind(); count(d, 'x'); count(d, 'x')
    assert d == {'x': 2}, d
## an array changed in place |
import numpy as np
def double(a): a *= 2; return a.sum(), a.T, a.dtype.type(1)
--
import numpy as np
a = np.arange(6.0).reshape(2, 3)
total, turned, one = double(a)
assert total == 30 and a[1, 2] == 10 and turned.shape == (3, 2)
assert isinstance(one, np.float64) and np.array_equal(turned, a.T)
## aliases |
def same(x): return x
def pair(x, y): return [x, y, x is y]
--
a = [1]; x, y, one = pair(a, a)
assert same(a) is a
assert x is y is a and one
assert pair([1], [1])[2] is False
a.append(a); assert same(a)[1] is a
## generators |
def down(n):
    while n: yield n; n -= 1
--
assert list(down(3)) == [3, 2, 1]
g = down(2)
assert next(g) == 2 and next(g) == 1
assert next(g, None) is None and sum(down(10)) == 55 and sorted(down(3)) == [1, 2, 3]
## classes |
class Shelf:
    size = 2
    def __init__(self, *items): self.items = list(items)
    def put(self, x): self.items.append(x); return self
    def __len__(self): return len(self.items)
    def __iter__(self): return iter(self.items)
    def __getitem__(self, i): return self.items[i]
    def __repr__(self): return f'Shelf{self.items}'
def merged(a, b): return Shelf(*a, *b)
--
s = Shelf(1, 2).put(3)
assert len(s) == 3 and list(s) == [1, 2, 3] and s[-1] == 3 and s[:2] == [1, 2]
assert s.items == [1, 2, 3] and Shelf.size == 2 and repr(s) == 'Shelf[1, 2, 3]'
assert s.put(4) is s and list(merged(s, s)) == [1, 2, 3, 4] * 2
s.size = 9
assert s.size == 9 and s and not Shelf()
## callbacks |
def twice(function, x): return function(function(x))
def tried(function):
    try: return function()
    except ValueError as e: return str(e)
--
assert twice(lambda x: x + [0], []) == [0, 0] and twice(abs, -3) == 3
seen = []; twice(seen.append, 1); assert seen == [1, None]
def fail(): raise ValueError('mine')
assert tried(fail) == 'mine'
## exceptions |
class Odd(Exception): pass
def even(n):
    if n < 0: raise ValueError(f'{n} is negative')
    if n % 2: raise Odd('odd')
    return {0: 'zero'}[n]
--
for n, message in ((-1, '-1 is negative'), (1, 'Odd: odd'), (2, '2')):
    try: even(n)
    except Exception as e: assert str(e) == message and (n != 2 or type(e) is KeyError), e
    else: assert False
assert even(0) == 'zero'
## names and modules of the program |
import math, collections as c
LIMIT = {'top': (1, 2)}
def depth(x): return 1 + depth(x[0]) if x else 0
--
assert LIMIT['top'] == (1, 2) and math.isclose(math.pi, 3.14159265, rel_tol=1e-6)
assert c.Counter('aab')['a'] == 2
x = []
for _ in range(200): x = [x]
assert depth(x) == 200 and [depth(y) for y in ([], [[]])] == [0, 1]
""")


@pytest.mark.parametrize("name", HONEST)
def test_honest_programs_pass(pool: Pool, name: str) -> None:
    program, tests = HONEST[name].split("--\n")
    if "numpy" in program:
        pytest.importorskip("numpy")
    verdict = check(program, tests, QUICK, pool=pool)
    assert (verdict.passed, verdict.status, verdict.message) == (True, "passed", "")
    assert (verdict.stdout, verdict.stderr, verdict.tier) == ("", "", pool.tier)


def test_the_form_with_an_entry_point(pool: Pool) -> None:
    program = "def twist(s):\n    print('twisting', s)\n    return s[::-2]"
    tests = "META = {}\n\ndef check(candidate):\n    assert candidate('abcd') == 'db'\n"
    verdict = check(program, tests, QUICK, entry_point="twist", pool=pool)
    assert (verdict.status, verdict.stdout) == ("passed", "twisting abcd\n")
    wrong = check("def twist(s): return s", tests, QUICK, entry_point="twist", pool=pool)
    assert (wrong.status, "line 4 of the tests" in wrong.message) == ("failed", True)


def test_an_entry_point_may_be_called_check(pool: Pool) -> None:
    tests = "assert check(4)\nassert not check(3)"
    for sign, passed in (("==", True), ("!=", False)):
        program = f"def check(n): return n % 2 {sign} 0"
        assert check(program, tests, QUICK, entry_point="check", pool=pool).passed is passed


def test_an_entry_point_may_have_a_name_that_python_knows(pool: Pool) -> None:
    tests = "def check(candidate): assert candidate([1, 2]) == 9"
    assert check("def sum(x): return 9", tests, QUICK, entry_point="sum", pool=pool).passed


# --- wrong programs -------------------------------------------------------------------------------

TESTS = "assert True\nassert twin(3) == [3, 3]\nassert twin(0) == [0, 0]"
WRONG = {
    "value": ("def twin(x): return [x, 1 or x]", "failed", "line 2 of the tests: assert twin(3)"),
    "later": ("def twin(x): return [x or 1] * 2", "failed", "line 3 of the tests"),
    "nothing": ("def twin(x): pass", "failed", "AssertionError at line 2"),
    "raises": ("def twin(x): return 1 // 0", "exception", "ZeroDivisionError: "),
    "raises late": ("def twin(x): return [x, x or 1 // x]", "exception", "at line 3 of the tests"),
    "missing": ("def twins(x): return [x, x]", "exception", "name 'twin' is not defined at line 2"),
    "syntax": ("def twin(x: return [x, x]", "exception", "SyntaxError"),
    "import": ("import nowhere", "exception", "ModuleNotFoundError: No module named 'nowhere'"),
    "exit": ("import sys\ndef twin(x): sys.exit(0)", "exception", "SystemExit"),
    "exit at import": ("raise SystemExit(0)", "exit", "before its tests did"),
    "exit 3": ("raise SystemExit(3)", "exit", ""),
    "loop": ("def twin(x):\n    while True: pass", "timeout", ""),
    "loop at import": ("while True: pass", "timeout", ""),
    "memory": ("def twin(x): return bytearray(1 << 40)", "exception", "MemoryError"),
    "memory at import": ("x = bytearray(1 << 40)", "memory", "MemoryError"),
    "flood": ("def twin(x):\n    while True: print('x' * 999)", "output", ""),
    "crash": ("import ctypes\ndef twin(x): ctypes.string_at(0)", "killed", ""),
    "deep": ("def twin(x): return twin(x)", "exception", "RecursionError"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_programs_fail(pool: Pool, name: str) -> None:
    program, status, message = WRONG[name]
    verdict = check(program, TESTS, Limits(wall_seconds=1.0), pool=pool)
    assert (verdict.passed, verdict.status) == (False, status)
    assert message in verdict.message
    assert verdict.seconds < 3


@pytest.mark.parametrize(
    ("tests", "entry_point", "message"),
    [
        ("assert twin(1) == [1, 1]\nassert (", None, "SyntaxError"),
        ("import nowhere", None, "No module named 'nowhere' at line 1"),
        ("x = 1\nassert twin(1) == y", None, "name 'y' is not defined at line 2"),
        ("def check(candidate): pass", "triplet", "triplet"),
        ("def chekc(candidate): assert False", "twin", "check"),
        ("class O: pass\ntry: twin(O())\nexcept TypeError: pass", None, "plain data"),
    ],
)
def test_wrong_tests_are_told(
    pool: Pool, tests: str, entry_point: str | None, message: str
) -> None:
    program = "def twin(x): return [x, x]"
    verdict = check(program, tests, QUICK, entry_point=entry_point, pool=pool)
    assert (verdict.passed, verdict.status) == (False, "exception")
    assert message in verdict.message


# --- cheats ---------------------------------------------------------------------------------------

GAP = "def gap(a, b): return (a - b) / 2"
PROBLEMS = {
    "sum": (
        "def weigh(a): return 3 * sum(a)",
        "assert weigh([1, 2]) == 9\nassert 15 == weigh([5])\nassert not weigh([1]) != 3\n"
        "x = weigh([7, 7])\nassert type(x) is int and isinstance(x, int) and x in {42}",
    ),
    "near": (GAP, "assert abs(gap(7, 2) - 2.5) < 1e-6"),
    "bounds": (GAP, "assert 2.4 < gap(7, 2) <= 2.6"),
    "module": ("import math\n" + GAP, "assert math.isclose(gap(7, 2), 2.5)"),
    "array": (
        "import numpy as np\ndef gap(a, b): return np.array([a, b]) / 2",
        "import numpy as np\nassert np.allclose(gap(7, 2), [3.5, 1.0])",
    ),
    "text": (
        "def tail(s): return s[1:]",
        "assert tail('abc') == 'bc'\nassert 'y' == tail('xy')\nassert len(tail('abc')) == 2",
    ),
    "list": (
        "def echo(n): return [n] * n",
        "assert echo(2) == [2, 2]\nassert [1] == echo(1)\nassert sorted(echo(3)) == [3, 3, 3]",
    ),
    "place": (
        "def clip(a): a[:] = [min(x, 5) for x in a]",
        "want = [1, 5]; a = [1, 9]\nassert clip(a) is None; assert a == want",
    ),
    "call": (
        "def apply(f, x): return f(x) + f(1)",
        "import json\nassert apply(lambda x: x * 2, 3) == 8\nassert json.dumps([2]) == '[2]'",
    ),
    "error": (
        "def strict(x):\n    if x < 0: raise ValueError\n    return x",
        "assert strict(2) == 2\ntry: strict(-1)\nexcept Exception: pass\nelse: assert 0",
    ),
    "large": (
        "import numpy as np\ndef scaled(n): return np.arange(float(n)) * 1.5",
        "import numpy as np\nwant = np.arange(200000.0) * 1.5\n"
        "assert np.array_equal(scaled(200000), want)",
    ),
    "loop": (
        "def weigh(a): return 3 * sum(a)",
        "for got, want in zip(map(weigh, [[1, 2], [5]]), [9, 15]):\n    assert got == want\n"
        "assert all(map(lambda p: weigh(p[0]) == p[1], [([1], 3)]))",
    ),
    "name": ("def name(): return 'math'", "assert name() == 'math'"),
    "entry": (
        "def weigh(a): return 3 * sum(a)",
        "def check(candidate):\n    assert candidate([1, 2]) == 9\n    assert candidate([5]) == 15",
    ),
}


def test_a_function_under_test_may_be_a_built_in_one_or_have_its_name(pool: Pool) -> None:
    tests = "assert spell(12) == '12'"
    assert check("spell = str", tests, QUICK, entry_point="spell", pool=pool).passed
    program, tests = "def sum(a): return 7", "assert sum([1]) == 7"
    assert check(program, tests, QUICK, entry_point="sum", pool=pool).passed


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_honest_twins_pass(pool: Pool, name: str) -> None:
    program, tests = PROBLEMS[name]
    entry_point = "weigh" if name == "entry" else None
    assert check(program, tests, QUICK, entry_point=entry_point, pool=pool).message == ""


TOOLS = r"""
PASSED = b'{"outcome": "passed"}\n'
import ctypes, gc, json, os, re, signal, struct, sys, threading, time, types
def frame(message):
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack("=I", len(data)) + data
def everywhere(*data, first=1):
    for fd in range(first, 30):
        for part in data:
            try: os.write(fd, part)
            except OSError: pass
def answer(result, *table, **more): return frame({"result": result, "table": table, **more})
def call(number, method, *args):
    return frame({"number": number, "method": method, "args": {"ref": 0}, "kwargs": {"ref": 1},
                  "table": [["list", list(args), None], ["dict", [], None]]})
MINE = answer({"ref": 0}, ["mine", 1, None])
def learnt(texts, x):
    "The expected value, if a text of the tests is among these."
    for text in texts:
        if type(text) is str and (found := re.search(r"weigh\(\[\d+.*?\]\) == (\d+)", text)):
            return int(found[1])
    return 0
def every(*kinds):
    for x in gc.get_objects():
        if type(x) in kinds: yield from list(x.values() if type(x) is dict else x)
def frames(frame):
    while frame:
        yield from frame.f_locals.values()
        yield from frame.f_globals.values()
        frame = frame.f_back
class Yes:
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = lambda *_: True
    __ne__ = lambda *_: False
    __sub__ = __rsub__ = __abs__ = __round__ = lambda *_: 0.0
    __bool__ = lambda *_: True
    __hash__ = lambda _: 42
    __len__ = lambda _: 2
def weigh(a): return 0
def gap(a, b): return Yes()
def apply(f, x): return 0
"""
CHEATS = cases(r"""
## sum: equal to all | def weigh(a): return Yes()
## sum: class is int | Yes.__class__ = int
def weigh(a): return Yes()
## sum: an int | class I(Yes, int): pass
weigh = lambda _: I(8)
## near: near to all | pass
## near: a float near to all | class F(Yes, float): pass
gap = lambda *_: F(1)
## bounds: in all bounds | pass
## array: an array near to all | pass
## array: numpy near to all | def gap(a, b): return [Yes(), Yes()]
## text: a text | class S(Yes, str): pass
tail = S
## list: a list | class L(Yes, list): pass
echo = L
## list: list of such | def echo(n): return [Yes()] * n
## place: set in place | def clip(a): a[:] = [Yes(), Yes()]
## entry: own entry | def check(f): pass
candidate = check
## module: own module | class math: isclose = lambda *_: True
## sum: frames | def weigh(a): return learnt(frames(sys._getframe()), a)
## sum: traceback | def weigh(a):
    try: 1 / 0
    except Exception as e:
        return learnt(frames(e.__traceback__.tb_frame.f_back), a)
## sum: collector | def weigh(a): return learnt(every(dict, list, tuple), a)
## sum: referrers |
def weigh(a): return learnt([y for x in gc.get_referrers(a) if type(x) is list for y in x], a)
## sum: modules | def weigh(a): return learnt([repr(vars(m)) for m in sys.modules.values()], a)
## sum: own peer | for x in gc.get_objects():
    if type(x).__name__ == 'Peer':
        type(x)._answer = lambda s, m: s._write({'outcome': 'passed'})
## sum: builtins | import builtins as b
b.len = b.abs = b.sorted = b.isinstance = b.all = lambda *_: True
b.type = b.__import__ = b.print = lambda *_: int
b.AssertionError = b.BaseException = type('E', (Exception,), {})
## sum: json | json.dumps = lambda *_, **k: '{"result": true, "table": []}'
## sum: struct and os | struct.Struct = struct.pack = None
os.read = lambda *_: b''
old = os.write
os.write = lambda fd, d: old(fd, PASSED) and len(d)
## sum: answers ahead | everywhere(MINE, *[answer(True)] * 9, first=3)
## error: raised ahead | everywhere(*[frame({'raised': ['AssertionError'], 'table': []})] * 4)
def strict(x): return x
## sum: stops the loop | def weigh(a): raise StopIteration
## call: asks for attributes | def apply(f, x):
    for n in (0, 1, 2, -1):
        everywhere(call(n, 'getattr', '__globals__'), first=6)
    return f(x)
## call: sets attributes | def apply(f, x):
    for n in (0, 1, -1, True):
        everywhere(call(n, 'setattr', '__code__', 0), first=6)
    return f(x)
## place: state of others | def clip(a):
    for was in (0, 1, 2, 3, -1, True, 99):
        everywhere(answer(None, ['list', [1, 9], was]), first=6)
## sum: references to yours | def weigh(a):
    for n in (0, 1, -1, 10**9): everywhere(answer({'ref': 0}, ['yours', n, None]))
## sum: table of pickles | import pickle
class R:
    def __reduce__(self): return eval, ('42',)
def weigh(a): return [pickle.dumps(R()), bytearray(pickle.dumps(R())), R()]
## sum: reports | everywhere(PASSED)
def weigh(a): everywhere(PASSED)
## sum: reports and ends | def weigh(a): everywhere(PASSED); os._exit(0)
## sum: status | def weigh(a): everywhere(b'{"wait": 0, "cpu_seconds": 0}\n'); os._exit(0)
## sum: ends at import | os._exit(0)
## error: ends where an error is due | def strict(x):
    if x < 0: os._exit(0)
    return x
## error: closes where an error is due | def strict(x):
    if x < 0: os.closerange(3, 99)
    return x
## error: too long where an error is due | def strict(x): return x if x > 0 else 'x' * (17 << 20)
## sum: exits | def weigh(a): sys.exit(0)
## sum: interrupts | def weigh(a): raise KeyboardInterrupt
## sum: generator's exit | def weigh(a): raise GeneratorExit
## sum: at exit | import atexit
atexit.register(everywhere, PASSED)
def weigh(a): sys.exit(0)
## sum: right once | def weigh(a):
    global weigh; weigh = lambda a: 0
    return 3 * sum(a) if len(a) == 2 else 0
## sum: threads | def late():
    while True: everywhere(answer(42), first=6); time.sleep(0.001)
threading.Thread(target=late, daemon=True).start()
def weigh(a): time.sleep(0.2); return 0
## call: planted modules |
for name in ('json', 'math', 'tests', 'sitecustomize', 'builtins'):
    text = f'import os\nos.write(3, {PASSED})\nos._exit(0)'
    open(name + '.py', 'w').write(text)
## sum: environment |
for k in ('PATH', 'HOME', 'STARTUP', 'INSPECT'): os.environ['PYTHON' + k] = os.getcwd()
os.environ['PYTHONOPTIMIZE'] = '2'
## sum: long | def weigh(a): return [0] * (9 << 20)
## sum: long head | def weigh(a): everywhere(struct.pack('=I', 0xFFFFFFFF)); return 0
## sum: deep | def weigh(a): everywhere(frame(b'[' * 100_000)); return 0
## sum: many | def weigh(a): everywhere(frame(b'[' + b'[],' * (5 << 20) + b'0]')); return 0
## sum: hostile methods | class H:
    __repr__ = __str__ = __getattr__ = __getattribute__ = lambda *_: 1 / 0
def weigh(a): return H()
## sum: like a remote | class Remote:
    _number = 1; _kind = 'int'; __eq__ = lambda *_: True
    def __call__(self, *_): return 9
def weigh(a): return Remote()
## sum: a module | def weigh(a): m = types.ModuleType('math'); m.__eq__ = lambda _: True; return m
## sum: module for a function | import operator as weigh
## sum: signals | def weigh(a):
    for pid in (-1, 0, 1, os.getppid(), *range(2, 99), os.getpid()):
        try: os.kill(pid, signal.SIGKILL)
        except OSError: pass
## sum: memory | ctypes.c_long.from_address(id(0) + 24).value = 9
## sum: prints | def weigh(a): print('{"outcome": "passed"}'); return 0
## large: the tests' own memory | import numpy as np
kept = []
class F: pass
def scaled(n):
    a = np.arange(float(n)); kept.append(a)
    x = F(); x.__array_interface__ = dict(
        shape=(n,), typestr='<f8', version=3, data=(a.ctypes.data, False)); return x
## large: a pointer | class F: _as_parameter_ = 0
scaled = lambda n: F()
## loop: ends their loops | def weigh(a): raise StopIteration
## loop: ends them later | def weigh(a): yield
## name: a module | def name(): import math; return math
## array: differs by nothing from arrays | class No: __sub__ = __rsub__ = lambda *_: 0.0
gap = lambda *_: No()
""")


@pytest.mark.parametrize("name", CHEATS)
def test_cheats_do_not_pass(pool: Pool, name: str) -> None:
    problem, program = name.split(": ")[0], CHEATS[name]
    entry_point = "weigh" if problem == "entry" else None
    tests = PROBLEMS[problem][1]
    verdict = check(TOOLS + program, tests, QUICK, entry_point=entry_point, pool=pool)
    assert not verdict.passed
    assert verdict.seconds < 4
    assert check(*PROBLEMS["sum"], QUICK, pool=pool).passed  # nothing is left behind
