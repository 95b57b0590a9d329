import pytest

from jaxformer.data.languages import ALIASES, LANGUAGES, detect, known, prefix


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "python"),
        ("B.PY", "python"),
        ("x.c", "c"),
        ("x.C", "c++"),
        ("x.R", "r"),
        ("x.tar.ts", "typescript"),
        ("src/Makefile", "make"),
        ("Dockerfile", "docker"),
        ("CMakeLists.txt", "cmake"),
        ("notes.txt", "text"),
        ("README", "text"),
        ("README.md", "markdown"),
        ("man/ls.1", "manual"),
        ("x.bin", ""),
        ("noname", ""),
        (".py", ""),
        ("a.py/noname", ""),
        ("", ""),
    ],
)
def test_by_name(path: str, language: str):
    assert detect(path, "") == language


@pytest.mark.parametrize(
    ("line", "language"),
    [
        ("#!/usr/bin/python", "python"),
        ("#! /usr/bin/env python3", "python"),
        ("#!/usr/bin/env -S python3.11 -u", "python"),
        ("#!/usr/bin/env -Spython3 -u", "python"),
        ("#!/usr/bin/env A=b LANG=C bash", "shell"),
        ("#!/bin/sh -e", "shell"),
        ("#!/usr/bin/perl5.36.0", "perl"),
        ("#!/usr/bin/make -f", "make"),
        ("#!/usr/bin/Rscript", "r"),
        ("#!/usr/bin/env", ""),
        ("#!", ""),
        ("#!/opt/unheard-of", ""),
        ("# python", ""),
    ],
)
def test_by_first_line(line: str, language: str):
    assert detect("script", line + "\nx\n") == language
    assert detect("script.lua", line + "\n") == "lua"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("int f(void);\n", "c"),
        ("/* the class of things */\nstruct a { int class_of; };\n", "c"),
        ("/* Tells\n   class of a device: one\n */\nint f(void);", "c"),
        ("class A;\n", "c++"),
        ("class API_EXPORT A final : public B {\n", "c++"),
        ("namespace a::b {\n", "c++"),
        ("  template <typename T>\n", "c++"),
        ('#ifdef __cplusplus\nextern "C" {\n#endif\n', "c"),
    ],
)
def test_headers(text: str, language: str):
    assert detect("x.h", text) == language


def test_manual_pages_have_requests():
    assert detect("ls.1", '.\\" comment\n.TH LS 1\n') == "manual"
    assert detect("daemon.log.1", "12:00 started\n") == ""


def test_known_names():
    assert [known(n) for n in ("C++", "cpp", " Python ", "Bash", "csharp", "klingon", "")] == [
        *("c++", "c++", "python", "shell", "c#", "", "")
    ]
    assert set(ALIASES.values()) <= LANGUAGES.keys()
    assert not ALIASES.keys() & LANGUAGES.keys()


def test_no_suffix_or_name_is_claimed_twice():
    for field in ("suffixes", "names", "interpreters"):
        claimed = [value for language in LANGUAGES.values() for value in getattr(language, field)]
        assert len(claimed) == len(set(claimed))
    assert all(name == name.lower() for one in LANGUAGES.values() for name in one.names)


def test_prefix():
    assert prefix("python") == "# language: Python\n"
    assert prefix("go") == "// language: Go\n"
    assert prefix("markdown") == "<!-- language: Markdown -->\n"
    assert prefix("sql") == "-- language: SQL\n"
    assert prefix("text") == "language: Text\n"
    assert prefix("manual") == '.\\" language: Manual page\n'
    assert prefix("") == ""
    assert all(prefix(key).endswith("\n") and prefix(key).count("\n") == 1 for key in LANGUAGES)
