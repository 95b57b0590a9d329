# Runs inside the sandbox, in front of `_main({...})`; see answers.py. It imports nothing of the
# package, and keeps all names in one function, out of the program's way.


def _main(settings):
    import ast
    import builtins
    import contextlib
    import hashlib
    import importlib
    import json
    import os
    import sys

    published = settings["rules"] == "published"
    noted = []

    def code(x, around=()):
        """A value as [kind, content]."""
        kind = type(x)
        if x is None:
            return ["none", None]
        if kind is bool:
            return ["bool", x]
        if kind is int:
            return ["int", hex(x)]
        if kind is float:
            return ["float", repr(x)]
        if kind is complex:
            return ["complex", [repr(x.real), repr(x.imag)]]
        if kind.__module__ in ("decimal", "fractions") and not published:
            with contextlib.suppress(Exception):
                return code(int(x) if x == int(x) else float(x))
        if isinstance(x, str):
            return ["text", str.__str__(x).encode("utf-8", "replace").decode("utf-8")]
        if id(x) in around or len(around) > 50:
            return ["object", "itself"]
        inside = (*around, id(x))
        if isinstance(x, dict):
            return ["dict", [[code(k, inside), code(v, inside)] for k, v in x.items()]]
        if isinstance(x, tuple):
            return ["tuple", [code(item, inside) for item in x]]
        if isinstance(x, (set, frozenset)):
            items = [code(item, inside) for item in x]
            return ["set", sorted(items, key=json.dumps) if settings["state"] else items]
        if isinstance(x, list) or kind.__name__ in LISTS:
            return ["list", [code(item, inside) for item in x]]
        inner = published and around  # where an array is compared with a list, which raises
        if kind.__name__ == "ndarray" and inner:
            return ["object", "ndarray"]
        if kind.__module__.split(".")[0] == "numpy" and hasattr(x, "tolist"):
            if settings["state"] and getattr(x, "size", 1) > LARGE and x.dtype.kind in "biufc":
                return ["object", [str(x.dtype), x.shape, hashlib.sha256(x.tobytes()).hexdigest()]]
            return code(x.tolist(), inside)
        if kind.__module__.split(".")[0] == "pandas" and kind.__name__ == "Series":
            return code(x.to_numpy(), inside)
        if settings["state"] and hasattr(x, "__dict__"):
            return ["object", [kind.__name__, code(vars(x), inside)]]
        return ["object", kind.__name__]

    LARGE = 10000
    LISTS = ("range", "dict_keys", "dict_values", "dict_items", "deque")

    def name(x):
        kind = type(x)
        top = kind.__module__.split(".")[0]
        return f"{top}.{kind.__name__}" if top in ("numpy", "pandas") else kind.__name__

    def describe(x):
        casts = {}
        if published:
            for cast in (int, float, list):
                with contextlib.suppress(Exception):
                    casts[cast.__name__] = code(cast(x))
        elif isinstance(x, str):
            with contextlib.suppress(Exception):
                casts["literal"] = code(ast.literal_eval(x.strip()))
        try:
            text = str(x).encode("utf-8", "replace").decode("utf-8")
        except Exception:
            text = ""
        return [name(x), code(x), text, casts]

    def show(*args, **kwargs):
        try:
            if published:
                noted[:] = [args]
            else:
                noted[:] = [describe(args[0])] if args else []
        except Exception:
            noted[:] = []
        return builtins.print(*args, **kwargs)

    def report():
        found = noted[0] if noted else None
        if published and found is not None:
            found = describe(found[0]) if found else None
        state = {}
        for key, x in scope.items():
            hidden = key.startswith("_") or key == "print"
            if settings["state"] and not (hidden or callable(x) or type(x).__name__ == "module"):
                state[key] = code(x)
        whole = hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
        sys.stdout.flush()
        data = ("\n" + settings["mark"] + json.dumps([found, whole]) + "\n").encode()
        while data:
            data = data[os.write(1, data) :]

    def parsed():
        tree = ast.parse(settings["source"], "program.py")
        last = tree.body[-1] if tree.body else None
        if published:
            called = getattr(getattr(last, "value", None), "func", None)
            already = getattr(called, "id", "").startswith("print")
            if not already and getattr(last, "value", None) is not None:
                wrap(last, "print")
        elif isinstance(last, ast.Expr):
            wrap(last, "_show_last")
        return compile(tree, "program.py", "exec")

    def wrap(statement, function):
        called = ast.Name(function, ast.Load())
        statement.value = ast.Call(called, [statement.value], [])
        ast.copy_location(statement.value, statement)
        ast.fix_missing_locations(statement)

    def show_last(x):
        if x is not None:
            scope.get("print", show)(x)

    scope = {"__name__": "__main__", "__builtins__": builtins, "print": show}
    if not published:
        scope["_show_last"] = show_last
    if "random" in settings["source"]:  # both take a while to load
        importlib.import_module("random").seed(0)
        if "numpy" in sys.modules:
            numpy_random = sys.modules["numpy"].random
            numpy_random.seed(0)
            make = numpy_random.default_rng
            numpy_random.default_rng = lambda seed=None: make(0 if seed is None else seed)
    if published:
        # Its programs cannot exit: `exit` and `quit` are None there.
        builtins.exit = builtins.quit = None
        with contextlib.suppress(Exception):
            exec(parsed(), scope)
    else:
        try:
            exec(parsed(), scope)
        except SystemExit as end:
            if end.code not in (None, 0):
                raise
    report()
