"""Programs that exercise every rule of the MTPB scorers, with the verdicts of both.

Each: what rule it is about, the program, the expected answer, whether `fixed` and whether the
published scorer finds it right. The published verdicts were made by the functions of the released
`mtpb_exec.py` themselves (CodeGen, commit 979d788, Python 3.11), on 2026-11-22.
"""

from typing import Any, NamedTuple


class Case(NamedTuple):
    rule: str
    program: str
    expected: Any
    fixed: bool
    published: bool


CASES = [
    Case("int", "print(7)", 7, True, True),
    Case("wrong int", "print(8)", 7, False, False),
    Case("text", "print('tide')", "tide", True, True),
    Case("wrong text", "print('tides')", "tide", False, False),
    Case("float", "print(2.5)", 2.5, True, True),
    Case("float within tolerance", "print(0.1 + 0.2)", 0.3, True, True),
    Case("float out of tolerance", "print(0.31)", 0.3, False, False),
    Case("large float, relatively near", "print(1234567.8901)", 1234567.89, True, False),
    Case("list", "print([1, 2])", [1, 2], True, True),
    Case("list in another order", "print([2, 1])", [1, 2], False, False),
    Case("true", "print(3 > 2)", True, True, True),
    Case("not true", "print(3 < 2)", True, False, False),
    Case("the last print counts", "print(1)\nprint(2)", 2, True, True),
    Case("not an earlier one", "print(2)\nprint(1)", 2, False, False),
    Case("the first argument counts", "print(2, 'apples')", 2, True, True),
    Case("not the second", "print('apples:', 2)", 2, False, False),
    Case("print without argument", "print(2)\nprint()", 2, False, False),
    Case("print in a function", "def show(x):\n    print(x)\nshow(4)", 4, True, False),
    Case("a last expression is printed", "x = 5\nx", 5, True, True),
    Case("a call's value is printed", "def f(a):\n    return a * a\nf(3)", 9, True, True),
    Case("a last None hides nothing", "x = [2, 1]\nprint(x[0])\nx.sort()", 2, True, False),
    Case("a last assignment is no answer", "x = 7", 7, False, True),
    Case("nor hides one", "print(6)\ny = 7", 6, True, False),
    Case("an augmented one neither", "x = 1\nprint(8)\nx += 2", 8, True, False),
    Case("16.9 is not 16", "print(16.9)", 16, False, True),
    Case("16.0 is 16", "print(16.0)", 16, True, True),
    Case("an int for a float", "print(3)", 3.0, True, True),
    Case("a number's text", "print('12')", 12, True, True),
    Case("a float's text", "print(str(1.5))", 1.5, True, True),
    Case("a rounded text of a float", "print(f'{2 / 3:.2f}')", 0.67, True, True),
    Case("a number for its text", "print(12)", "12", True, True),
    Case("a list's text", "print(str([1, 2]))", [1, 2], True, False),
    Case("a text for a list of letters", "print('ab')", ["a", "b"], False, True),
    Case("true's text", "print('True')", True, True, True),
    Case("1 is not true", "print(1)", True, False, False),
    Case("true is not 1", "print(True)", 1, False, True),
    Case("a dictionary", "print({'a': 1, 'b': [2.0]})", {"a": 1, "b": [2]}, True, False),
    Case("a wrong dictionary", "print({'a': 2})", {"a": 1}, False, False),
    Case("keys that JSON cannot say", "print({1: 'x', 2: 'y'})", {"1": "x", "2": "y"}, True, False),
    Case("None", "print(None)", None, True, False),
    Case("not None", "print(0)", None, False, False),
    Case("floats in a list", "print([0.1 + 0.2, 1.0])", [0.3, 1.0], True, False),
    Case("floats deep in a list", "print([[1, 0.1 + 0.2]])", [[1, 0.3]], True, False),
    Case("true in a list is not 1", "print([True, 2])", [1, 2], False, True),
    Case("a tuple", "print((1, 2))", [1, 2], True, True),
    Case("tuples in a list", "print([(1, 2), (3, 4)])", [[1, 2], [3, 4]], True, True),
    Case("tuples deeper in a list", "print([[(1, 2)]])", [[[1, 2]]], True, False),
    Case("a tuple of tuples", "print(((1, 2), (3, 4)))", [[1, 2], [3, 4]], True, False),
    Case("an array", "print(np.array([1, 2]))", [1, 2], True, True),
    Case("an array of floats", "print(np.array([0.1]) * 3)", [0.3], True, False),
    Case("a list of arrays", "print([np.array([1, 2])])", [[1, 2]], True, False),
    Case("numpy's int", "print(np.int64(4))", 4, True, True),
    Case("numpy's float", "print(np.float64(0.1) * 3)", 0.3, True, True),
    Case("numpy's truth", "print(np.bool_(True))", True, True, True),
    Case("a set", "print({3, 1, 2})", [3, 1, 2], True, False),
    Case("a range", "print(range(3))", [0, 1, 2], True, True),
    Case("a dictionary's keys", "print({'a': 1}.keys())", ["a"], True, True),
    Case("a dictionary for its keys", "print({'a': 1})", ["a"], False, True),
    Case("an unread map", "print(map(int, '12'))", [1, 2], False, True),
    Case("changed after printing", "x = [1]\nprint(x)\nx.append(2)\nx.clear", [1], False, False),
    Case("what was printed stays", "x = [1]\nprint(x)\nx.append(2)", [1], True, False),
    Case("an exception after printing", "print(3)\n1 / 0", 3, False, True),
    Case("an exception before printing", "1 / 0\nprint(3)", 3, False, False),
    Case("no Python", "print(3", 3, False, False),
    Case("nothing", "", 3, False, False),
    Case("no print", "if True:\n    x = 3", 3, False, False),
    Case("leaving with success", "print(3)\nimport sys\nsys.exit()", 3, True, False),
    Case("leaving with failure", "print(3)\nimport sys\nsys.exit(1)", 3, False, False),
    Case("behind the main guard", "if __name__ == '__main__':\n    print(5)", 5, True, True),
    Case("a print of one's own", "def print(x):\n    pass\nprint(3)", 3, False, False),
    Case("a very large int", "print(10 ** 30)", 10**30, True, True),
    Case("one beside it", "print(10 ** 30 + 1)", 10**30, False, False),
    Case("not a number", "print(float('nan'))", 1.0, False, False),
]
