"""Programming languages: told by a file's name or first line, and named in its first line."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """How a language's files look."""

    title: str
    """Its name as people write it."""
    comment: tuple[str, str]
    """What opens and closes a comment of one line."""
    suffixes: tuple[str, ...]
    names: tuple[str, ...] = ()
    """Whole file names, in lower case."""
    interpreters: tuple[str, ...] = ()
    """Programs of a first line `#!…`, without version."""


_HASH, _SLASHES, _DASHES = ("# ", ""), ("// ", ""), ("-- ", "")
_PAPERS = (
    "authors bugs changelog changelog.debian changes contributing copying copyright faq hacking "
    "history install licence license maintainers news readme thanks todo"
)

LANGUAGES: dict[str, Language] = {
    "c": Language("C", _SLASHES, (".c", ".h")),
    "c#": Language("C#", _SLASHES, (".cs", ".csx")),
    "c++": Language(
        "C++",
        _SLASHES,
        (".cpp", ".cc", ".cxx", ".c++", ".C", ".hpp", ".hh", ".hxx", ".h++", ".H", ".ipp", ".tcc"),
    ),
    "cmake": Language("CMake", _HASH, (".cmake",), ("cmakelists.txt",), ("cmake",)),
    "css": Language("CSS", ("/* ", " */"), (".css",)),
    "dart": Language("Dart", _SLASHES, (".dart",), (), ("dart",)),
    "docker": Language("Dockerfile", _HASH, (".dockerfile",), ("dockerfile", "containerfile")),
    "go": Language("Go", _SLASHES, (".go",)),
    "haskell": Language("Haskell", _DASHES, (".hs",), (), ("runhaskell", "runghc", "stack")),
    "html": Language("HTML", ("<!-- ", " -->"), (".html", ".htm", ".xhtml")),
    "java": Language("Java", _SLASHES, (".java",)),
    "javascript": Language(
        "JavaScript", _SLASHES, (".js", ".mjs", ".cjs", ".jsx"), (), ("node", "nodejs")
    ),
    "julia": Language("Julia", _HASH, (".jl",), (), ("julia",)),
    "kotlin": Language("Kotlin", _SLASHES, (".kt", ".kts"), (), ("kotlin",)),
    "lua": Language("Lua", _DASHES, (".lua",), (), ("lua", "luajit")),
    "make": Language(
        "Makefile",
        _HASH,
        (".mk", ".mak"),
        ("makefile", "gnumakefile", "makefile.am", "makefile.in"),
        ("make", "gmake"),
    ),
    "manual": Language(
        "Manual page", ('.\\" ', ""), (*(f".{section}" for section in range(1, 10)), ".3pm")
    ),
    "markdown": Language("Markdown", ("<!-- ", " -->"), (".md", ".markdown")),
    "perl": Language("Perl", _HASH, (".pl", ".pm"), (), ("perl",)),
    "php": Language("PHP", ("<?php // ", " ?>"), (".php",), (), ("php",)),
    "python": Language(
        "Python",
        _HASH,
        (".py", ".pyi", ".pyw"),
        ("sconstruct", "sconscript"),
        ("python", "pypy", "uv"),
    ),
    "r": Language("R", _HASH, (".r",), (".rprofile",), ("Rscript",)),
    "restructuredtext": Language("reStructuredText", (".. ", ""), (".rst", ".rest")),
    "ruby": Language(
        "Ruby", _HASH, (".rb", ".rake", ".gemspec"), ("rakefile", "gemfile"), ("ruby",)
    ),
    "rust": Language("Rust", _SLASHES, (".rs",)),
    "scala": Language("Scala", _SLASHES, (".scala", ".sc"), (), ("scala",)),
    "shell": Language(
        "Shell",
        _HASH,
        (".sh", ".bash", ".zsh", ".ksh"),
        (".bashrc", ".profile", ".bash_profile", ".zshrc"),
        ("sh", "bash", "dash", "zsh", "ksh", "ash"),
    ),
    "sql": Language("SQL", _DASHES, (".sql",)),
    "swift": Language("Swift", _SLASHES, (".swift",), (), ("swift",)),
    "text": Language("Text", ("", ""), (".txt", ".text"), tuple(_PAPERS.split())),
    "typescript": Language(
        "TypeScript", _SLASHES, (".ts", ".tsx", ".mts", ".cts"), (), ("deno", "ts-node", "tsx")
    ),
}

ALIASES: dict[str, str] = {
    "bash": "shell",
    "cpp": "c++",
    "cs": "c#",
    "csharp": "c#",
    "cxx": "c++",
    "dockerfile": "docker",
    "golang": "go",
    "js": "javascript",
    "makefile": "make",
    "man": "manual",
    "md": "markdown",
    "plain text": "text",
    "plaintext": "text",
    "py": "python",
    "python3": "python",
    "rs": "rust",
    "rst": "restructuredtext",
    "sh": "shell",
    "ts": "typescript",
}
"""Other names that data sets give to languages."""

_SUFFIXES = {suffix: key for key, value in LANGUAGES.items() for suffix in value.suffixes}
_NAMES = {name: key for key, value in LANGUAGES.items() for name in value.names}
_INTERPRETERS = {name: key for key, value in LANGUAGES.items() for name in value.interpreters}

_CPP = re.compile(
    r"^[ \t]*(?:template\s*<|(?:inline\s+)?namespace(?:\s+[\w:]+)?\s*\{|using\s+namespace\s"
    r"|(?:public|private|protected)\s*:"
    r"|class(?:\s+\w+){1,3}\s*(?:[;{]|:\s*(?:public|private|protected|virtual)\b))",
    re.MULTILINE,
)
"""A line that no C header has: a template, namespace or class, or a label of access."""
_ROFF = re.compile(r"^[.'][\\A-Za-z]", re.MULTILINE)
"""A request of a manual page; `library.so.1` and `daemon.log.1` have none."""
_BEGINNING = 50_000


def detect(path: str, text: str) -> str:
    """Return the language's key, or nothing if neither the name nor the first line tells.

    A whole name counts before a suffix (`CMakeLists.txt` is no text), a suffix before `#!`. A
    header `.h` is C unless the text shows C++. The beginning of the text suffices.
    """
    name = path[path.rfind("/") + 1 :]
    if key := _NAMES.get(name.lower()):
        return key
    suffix = name[dot:] if (dot := name.rfind(".")) > 0 else ""
    key = _SUFFIXES.get(suffix) or _SUFFIXES.get(suffix.lower(), "")
    if suffix == ".h" and _CPP.search(text, 0, _BEGINNING):
        return "c++"
    if key == "manual" and text and not _ROFF.search(text, 0, _BEGINNING):
        return ""
    return key or (_by_interpreter(text) if text.startswith("#!") else "")


def _by_interpreter(text: str) -> str:
    """Return the language of a first line such as `#!/usr/bin/env -S python3.11 -u`."""
    words = text[2:1000].split("\n", 1)[0].split()
    if words and words[0].endswith("/env"):
        words = [word.removeprefix("-S") for word in words[1:]]
        words = [word for word in words if word and word[0] != "-" and "=" not in word]
    program = words[0].rpartition("/")[2] if words else ""
    return _INTERPRETERS.get(program) or _INTERPRETERS.get(program.rstrip("0123456789."), "")


def known(name: str) -> str:
    """Return the key of a language that a data set names, or nothing if it is none of ours."""
    name = name.strip().lower()
    name = ALIASES.get(name, name)
    return name if name in LANGUAGES else ""


def prefix(language: str) -> str:
    """Return the first line that names a language in its own comment; nothing for none."""
    if not language:
        return ""
    opening, closing = LANGUAGES[language].comment
    return f"{opening}language: {LANGUAGES[language].title}{closing}\n"
