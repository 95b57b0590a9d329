import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxformer.data.documents import Document, Dropped
from jaxformer.data.recipe import Folder, Git, Hub, Records, Source
from jaxformer.data.sources import files, plan, read
from jaxformer.errors import UserError
from jaxformer.transcript import HEADER, Turn

MIT = """MIT License

Copyright (c) 2020 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def collect(source: Source, encoding: bool = True) -> list[Document | Dropped]:
    """Plan twice, send the units through JSON as to another process, and read them."""
    units = list(plan(source))
    assert units == list(plan(source))
    assert all(isinstance(unit["size"], int) for unit in units)
    return [d for unit in json.loads(json.dumps(units)) for d in read(source, unit, encoding)]


def folder(path: Path | str, **options: Any) -> Folder:
    return Folder(kind="folder", path=str(path), **options)


def git(path: Path | str, **options: Any) -> Git:
    return Git(kind="git", path=str(path), **options)


def jsonl(path: Path | str, **options: Any) -> Records:
    return Records(kind="jsonl", path=str(path), **options)


def parquet(path: Path | str, **options: Any) -> Records:
    return Records(kind="parquet", path=str(path), **options)


def hub(path: Path | str, **options: Any) -> Hub:
    return Hub(kind="hub", path=str(path), **options)


def put(root: Path, tree: Mapping[str, str | bytes]) -> Path:
    for name, content in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def paths(found: list[Document | Dropped]) -> list[str]:
    return [d.path for d in found]


def rules(found: list[Document | Dropped]) -> dict[str, str]:
    return {d.path: d.rule if isinstance(d, Dropped) else "" for d in found}


# Folders


def test_folder(tmp_path: Path):
    put(
        tmp_path,
        {"b.py": "x = 1\r\n", "a/z.go": "package z\n", "a/run": "#!/bin/sh\n", "a/c.py": "y\n"}
        | {".git/x.py": "no", "a/__pycache__/x.py": "no", "bom.py": b"\xef\xbb\xbfx\n"},
    )
    found = collect(folder(tmp_path))
    assert paths(found) == ["b.py", "bom.py", "a/c.py", "a/run", "a/z.go"]
    assert [d.language for d in found] == ["python", "python", "python", "shell", "go"]
    assert [d.text for d in found if isinstance(d, Document)][:2] == ["x = 1\n", "x\n"]
    assert paths(collect(folder(tmp_path, include=("*.py",), exclude=("a/*",)))) == [
        *("b.py", "bom.py")
    ]
    assert paths(collect(folder(tmp_path, include=("z.go",)))) == ["a/z.go"]
    assert {d.language for d in collect(folder(tmp_path, language="text"))} == {"text"}


def test_bad_files_are_dropped_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "FILE_LIMIT", 1000)
    put(
        tmp_path,
        {"latin.py": b"# caf\xe9\n", "nul.c": b"a\0b", "empty.py": b"", "white.py": b" \n\t\n"}
        | {
            "large.py": b"x" * 1001,
            "full.py": b"x" * 1000,
            "bomb.txt.gz": gzip.compress(bytes(2000)),
        },
    )
    found = collect(folder(tmp_path))
    assert rules(found) == {
        **{"latin.py": "encoding", "nul.c": "encoding", "empty.py": "empty", "white.py": "empty"},
        **{"large.py": "size", "full.py": "", "bomb.txt.gz": "size"},
    }
    latin = next(d for d in found if d.path == "latin.py")
    assert isinstance(latin, Dropped)
    assert (latin.detail, latin.size, latin.language) == ("no UTF-8 at byte 5", 7, "python")
    lenient = {d.path: d.text for d in collect(folder(tmp_path), False) if isinstance(d, Document)}
    assert lenient["latin.py"] == "# caf\ufffd\n"
    assert lenient["nul.c"] == "a\0b"


def test_compressed_files_go_by_their_inner_name(tmp_path: Path):
    page = gzip.compress(b".TH LS 1\n" * 50)
    put(tmp_path, {"ls.1.gz": page, "cut.1.gz": page[:-12], "fake.py.gz": b"no gzip"})
    found = collect(folder(tmp_path))
    assert rules(found) == {"cut.1.gz": "damaged", "fake.py.gz": "damaged", "ls.1.gz": ""}
    assert [d.language for d in found] == ["manual", "python", "manual"]


@pytest.mark.timeout(20)
def test_only_regular_files_count(tmp_path: Path):
    root = put(tmp_path / "root", {"a.py": "x\n", "sub/b.py": "y\n"})
    os.mkfifo(root / "fifo.py")
    (root / "loop").symlink_to(root)
    (root / "sub" / "up.py").symlink_to("../a.py")
    (root / "outside.py").symlink_to("/etc/hostname")
    assert paths(collect(folder(root))) == ["a.py", "sub/b.py"]


@pytest.mark.timeout(20)
def test_files_that_change_after_the_plan(tmp_path: Path):
    put(tmp_path, dict.fromkeys(("a.py", "b.py", "c.py", "d.py"), "x\n"))
    (unit,) = plan(folder(tmp_path))
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).unlink()
    os.mkfifo(tmp_path / "b.py")
    (tmp_path / "c.py").symlink_to("d.py")
    found = list(read(folder(tmp_path), unit))
    assert rules(found) == {
        **{"a.py": "unreadable", "b.py": "unreadable", "c.py": "unreadable", "d.py": ""}
    }
    assert isinstance(found[0], Dropped)
    assert found[0].detail == "No such file or directory"


def test_names_that_are_no_utf8(tmp_path: Path):
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.py"))).write_text("x\n")
    (found,) = collect(folder(tmp_path))
    assert found.path == "caf?.py"


def test_patterns_name_their_folders(tmp_path: Path):
    put(tmp_path, {"a/src/x.py": "x\n", "b/src/x.py": "y\n", "b/other/x.py": "z\n"})
    assert paths(collect(folder(f"{tmp_path}/*/src"))) == ["a/src/x.py", "b/src/x.py"]
    assert paths(collect(folder(f"{tmp_path}/b*"))) == ["b/other/x.py", "b/src/x.py"]
    assert len(collect(folder(f"{tmp_path}/**"))) == 3  # a folder and one within it: once
    assert paths(collect(folder(tmp_path / "a/src/x.py"))) == ["x.py"]


def test_folders_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert files.expand("{stdlib}") == str(Path(os.__file__).parent)
    assert (Path(files.expand("{packages}")) / "pyarrow").is_dir()
    monkeypatch.setenv("HOME", str(put(tmp_path, {"code/a.py": "x\n"})))
    assert paths(collect(folder("~/code"))) == ["a.py"]


def test_units_are_of_limited_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put(tmp_path, {f"{n}.py": "x" * 3000 for n in range(9)})
    monkeypatch.setattr(files, "UNIT_BYTES", 15_000)
    units = list(plan(folder(tmp_path)))
    assert [unit["size"] for unit in units] == [9000, 9000, 9000]
    assert paths(collect(folder(tmp_path))) == [f"{n}.py" for n in range(9)]


def test_the_nearest_license_counts(tmp_path: Path):
    put(
        tmp_path,
        {"LICENSE": MIT, "a/x.py": "x\n", "vendor/COPYING": "All mine.\n", "vendor/b/y.py": "y\n"}
        | {
            "license.py": "z\n",
            "site-packages/LICENSE.txt": "All mine.\n",
            "site-packages/p.py": "p",
        },
    )
    found = {d.path: d.license for d in collect(folder(tmp_path, include=("*.py",)))}
    assert found == {
        **{"a/x.py": "MIT", "vendor/b/y.py": "", "license.py": "MIT", "site-packages/p.py": "MIT"}
    }
    assert {d.license for d in collect(folder(tmp_path, license="0BSD"))} == {"0BSD"}


# Git


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Somebody")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "somebody@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    root = put(
        tmp_path / "checkout",
        {"a.py": "x = 1\n", "sub/b.go": "package b\n", "LICENSE": MIT, "ä.py": "y\r\n"}
        | {"bad.py": b"\xff", "page.1.gz": gzip.compress(b".TH A 1\n")},
    )
    (root / "link.py").symlink_to("a.py")
    run(root, "init", "-q")
    commit(root)
    return root


def run(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path) -> str:
    run(root, "add", "-A")
    run(root, "commit", "-q", "-m", "Change")
    return run(root, "rev-parse", "HEAD")


def test_git_reads_what_is_committed(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    units = list(plan(git(checkout)))
    put(checkout, {"a.py": "changed\n", "new.py": "untracked\n"})
    (checkout / "sub/b.go").unlink()
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert units == list(plan(git(checkout)))
    found = collect(git(checkout))
    assert rules(found) == {
        **{"LICENSE": "", "a.py": "", "bad.py": "encoding", "page.1.gz": "", "sub/b.go": ""},
        "ä.py": "",
    }
    assert {d.license for d in found} == {"MIT"}
    texts = {d.path: d.text for d in found if isinstance(d, Document)}
    assert (texts["a.py"], texts["ä.py"], texts["page.1.gz"]) == ("x = 1\n", "y\n", ".TH A 1\n")
    assert paths(collect(git(checkout, include=("*.py",), exclude=("bad*",)))) == ["a.py", "ä.py"]


def test_git_revisions(checkout: Path):
    first = run(checkout, "rev-parse", "HEAD")
    run(checkout, "tag", "v1")
    old = list(plan(git(checkout)))
    put(checkout, {"a.py": "x = 2\n"})
    second = commit(checkout)
    assert [unit["commit"] for unit in old] == [first]
    assert [unit["commit"] for unit in plan(git(checkout))] == [second]
    assert list(plan(git(checkout, revision="v1"))) == old
    (found,) = collect(git(checkout, revision="HEAD~1", include=("a.py",)))
    assert isinstance(found, Document)
    assert found.text == "x = 1\n"


def test_git_limits(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    put(checkout, {"large.py": "x" * 2000})
    commit(checkout)
    monkeypatch.setattr(files, "FILE_LIMIT", 1500)
    monkeypatch.setattr(files, "UNIT_BYTES", 5000)
    assert len(list(plan(git(checkout)))) > 2
    dropped = [d for d in collect(git(checkout)) if isinstance(d, Dropped) and d.rule == "size"]
    assert [(d.path, d.size) for d in dropped] == [("large.py", 2000)]


def test_several_checkouts(checkout: Path):
    put(checkout.parent, {"no checkout/x.py": "x\n"})
    shutil.copytree(checkout, checkout.parent / "second")
    found = paths(collect(git(checkout.parent / "*", include=("a.py",))))
    assert found == ["checkout/a.py", "second/a.py"]


def test_a_checkout_that_vanishes(checkout: Path):
    (unit,) = plan(git(checkout))
    shutil.rmtree(checkout)
    found = list(read(git(checkout), unit))
    assert set(rules(found).values()) == {"unreadable"}
    assert len(found) == 6


def test_stopping_early_leaves_no_process(checkout: Path):
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    before = children.read_text()
    (unit,) = plan(git(checkout))
    documents = read(git(checkout), unit)
    next(documents)
    assert children.read_text() != before
    documents.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert children.read_text() == before


# JSONL


def lines(*values: Any) -> str:
    return "".join(
        (value if isinstance(value, str) else json.dumps(value)) + "\n" for value in values
    )


def test_records(tmp_path: Path):
    text = lines(
        {"text": "x\r\n", "path": "a.go", "license": "MIT"},
        {"text": "x", "language": "CPP"},
        {"text": "#!/bin/sh\n", "language": "klingon"},
        {"turns": [{"prompt": "Print 1.", "code": "print(1)"}]},
        {"text": "\ufeffä\U0001f600", "turns": None},
    )
    (tmp_path / "r.jsonl").write_text(text)
    found = collect(jsonl(tmp_path / "r.jsonl", license="0BSD"))
    assert found[:3] == [
        Document("x\n", "a.go", "go", "MIT"),
        Document("x", "r.jsonl:2", "c++", "0BSD"),
        Document("#!/bin/sh\n", "r.jsonl:3", "shell", "0BSD"),
    ]
    turns = (Turn("Print 1.", "print(1)"),)
    rendered = HEADER + "# Print 1.\nprint(1)\n\n"
    assert found[3] == Document(rendered, "r.jsonl:4", "python", "0BSD", turns)
    assert found[4] == Document("ä\U0001f600", "r.jsonl:5", "", "0BSD")
    (tmp_path / "s.jsonl").write_text(lines({"body": "x"}))
    assert collect(jsonl(tmp_path / "s.jsonl", text="body", language="lua")) == [
        Document("x", "s.jsonl:1", "lua")
    ]


@pytest.mark.parametrize("unit_bytes", [16_000_000, 7000])
def test_bad_lines_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit_bytes: int):
    bad: list[tuple[bytes, str]] = [
        (b'{"text": "good"}', ""),
        (b"{broken", "not JSON"),
        (b'{"text": "\xff"}', "encoding"),
        (b'{"text": "\\u0000"}', "encoding"),
        (b'{"text": "\\ud800"}', "encoding"),
        (b'{"other": "x"}', "no text"),
        (b'{"text": 5}', "no text"),
        (b"[1]", "no text"),
        (b'{"text": " "}', "empty"),
        (b'{"turns": []}', "no text"),
        (b'{"turns": [{"prompt": "x"}]}', "no text"),
        (b'{"turns": [{"prompt": "x\\ny", "code": "z"}]}', "no text"),
        (b"[" * 100_000, "not JSON"),
        (b'{"text": ' + b"1" * 5000 + b"}", "not JSON"),
        (b'{"text": "last"}', ""),
    ]
    # Empty lines are no documents, but they count.
    (tmp_path / "x.jsonl").write_bytes(b"\n\n".join(line for line, _ in bad))
    monkeypatch.setattr(files, "UNIT_BYTES", unit_bytes)
    found = collect(jsonl(tmp_path / "x.jsonl"))
    expected = {f"x.jsonl:{2 * n + 1}": rule for n, (_, rule) in enumerate(bad)}
    assert list(rules(found).items()) == list(expected.items())
    lenient = [
        d.text for d in collect(jsonl(tmp_path / "x.jsonl"), False) if isinstance(d, Document)
    ]
    assert lenient == ["good", "\ufffd", "\0", "\ufffd", "last"]


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lengths=st.lists(st.integers(-1, 12), max_size=12),
    unit_bytes=st.integers(1, 60),
    ended=st.booleans(),
    block=st.integers(1, 30),
)
def test_units_cover_every_line_once(
    tmp_path: Path, lengths: list[int], unit_bytes: int, ended: bool, block: int
):
    rows = [b"" if n < 0 else b'{"text": "%d%s"}' % (i, b"." * n) for i, n in enumerate(lengths)]
    data = b"\n".join(rows) + (b"\n" if ended else b"")
    if not data.strip():
        data += b'\n{"text": "one"}'
    file = tmp_path / "p.jsonl"
    file.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "UNIT_BYTES", unit_bytes)
        patch.setattr("jaxformer.data.sources.records._BLOCK", block)
        units = list(plan(jsonl(file)))
        assert sum(unit["size"] for unit in units) == len(data)
        found = [d for unit in units for d in read(jsonl(file), unit)]
    assert found == [
        Document(json.loads(line)["text"], f"p.jsonl:{number}")
        for number, line in enumerate(data.split(b"\n"), 1)
        if line
    ]


def test_lines_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "FILE_LIMIT", 1000)
    text = lines({"text": "a"}, {"text": "b" * 2000}, {"text": "c"}, {"text": "d" * 5000})
    (tmp_path / "x.jsonl").write_text(text)
    for unit_bytes, block in ((100, 64), (3000, 1 << 18), (16_000_000, 64)):
        monkeypatch.setattr(files, "UNIT_BYTES", unit_bytes)
        monkeypatch.setattr("jaxformer.data.sources.records._BLOCK", block)
        found = collect(jsonl(tmp_path / "x.jsonl"))
        assert rules(found) == {
            **{"x.jsonl:1": "", "x.jsonl:2": "size", "x.jsonl:3": "", "x.jsonl:4": "size"}
        }


def compress(suffix: str, data: bytes) -> bytes:
    if suffix == "gz":
        return gzip.compress(data)
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_compressed_records(tmp_path: Path, suffix: str):
    values = [{"text": os.urandom(2000).hex()} for _ in range(200)]
    halves = lines(*values[:100]).encode(), lines(*values[100:]).encode()
    whole = b"".join(compress(suffix, half) for half in halves)  # two members, or frames
    file = tmp_path / f"x.jsonl.{suffix}"
    file.write_bytes(whole)
    found = collect(jsonl(file))
    expected = [Document(v["text"], f"{file.name}:{n}") for n, v in enumerate(values, 1)]
    assert found == expected

    for damaged in (whole[: len(whole) * 3 // 4], whole[:-3], whole + b"garbage"):
        file.write_bytes(damaged)
        *kept, last = collect(jsonl(file))
        assert len(kept) >= 100
        assert kept == expected[: len(kept)]
        assert isinstance(last, Dropped)
        assert (last.path, last.rule) == (file.name, "damaged")
        assert last.detail
    file.write_bytes(b"nothing of the kind")
    assert rules(collect(jsonl(file))) == {file.name: "damaged"}


def test_a_file_of_records_that_changes(tmp_path: Path):
    file = tmp_path / "x.jsonl"
    file.write_text(lines({"text": "a"}, {"text": "b"}))
    (unit,) = plan(jsonl(file))
    for changed in (lines({"text": "a"}), lines({"text": "a"}, {"text": "b"}, {"text": "c"})):
        file.write_text(changed)
        with pytest.raises(UserError, match=r"x\.jsonl has changed"):
            list(read(jsonl(file), unit))
    file.unlink()
    assert rules(list(read(jsonl(file), unit))) == {"x.jsonl": "unreadable"}


def test_folders_and_patterns_of_records(tmp_path: Path):
    line = lines({"text": "x"})
    put(
        tmp_path, {"d/a.jsonl": line, "d/e/b.jsonl.gz": gzip.compress(line.encode()), "d/c.md": "x"}
    )
    assert paths(collect(jsonl(tmp_path / "d"))) == ["a.jsonl:1", "e/b.jsonl.gz:1"]
    assert paths(collect(jsonl(tmp_path / "*/*.jsonl"))) == ["d/a.jsonl:1"]


# Parquet


def write_parquet(path: Path, rows: list[dict[str, Any]], group: int = 10, **types: Any) -> Path:
    table = pa.Table.from_pylist(rows)
    for name, kind in types.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table.column(name).cast(kind))
    pq.write_table(table, path, row_group_size=group)
    return path


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: pa.DataType):
    rows = [{"code": f"x = {n}\r\n", "path": f"{n}.py", "other": n} for n in range(35)]
    rows[3]["path"] = rows[20]["code"] = None
    file = write_parquet(tmp_path / "x.parquet", rows, code=kind)
    source = parquet(file, text="code")
    monkeypatch.setattr("jaxformer.data.sources.records._ROWS", 4)
    assert [unit["groups"] for unit in plan(source)] == [[0, 4]]
    monkeypatch.setattr(files, "UNIT_BYTES", 1)
    assert [unit["groups"] for unit in plan(source)] == [[0, 1], [1, 2], [2, 3], [3, 4]]
    found = collect(source)
    assert len(found) == 35
    assert found[0] == Document("x = 0\n", "0.py", "python")
    assert found[3] == Document("x = 3\n", "x.parquet:4")
    assert rules(found)["x.parquet:21"] == "no text"


def test_parquet_of_conversations(tmp_path: Path):
    rows = [{"turns": [{"prompt": "Add.", "code": "1 + 1"}]}, {"turns": None}]
    found = collect(parquet(write_parquet(tmp_path / "x.parquet", rows)))
    assert isinstance(found[0], Document)
    assert found[0].turns == (Turn("Add.", "1 + 1"),)
    assert rules(found)["x.parquet:2"] == "no text"


def test_strings_of_parquet_that_are_no_utf8(tmp_path: Path):
    column = pa.array([b"good", b"\xff"]).view(pa.string())
    pq.write_table(pa.table({"text": column}), tmp_path / "x.parquet")
    assert rules(collect(parquet(tmp_path))) == {"x.parquet:1": "", "x.parquet:2": "encoding"}


def test_damaged_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = [{"text": os.urandom(500).hex()} for _ in range(40)]
    file = write_parquet(tmp_path / "x.parquet", rows)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert rules(collect(parquet(file))) == {"x.parquet": "damaged"}
    middle = pq.ParquetFile(pa.BufferReader(whole)).metadata.row_group(2).column(0)
    start = middle.dictionary_page_offset or middle.data_page_offset
    file.write_bytes(whole[:start] + b"\xff" * 400 + whole[start + 400 :])
    monkeypatch.setattr("jaxformer.data.sources.records._ROWS", 5)
    (unit,) = plan(parquet(file))
    *kept, last = read(parquet(file), unit)
    assert [d.text for d in kept if isinstance(d, Document)] == [r["text"] for r in rows[:20]]
    assert isinstance(last, Dropped)
    assert last.rule == "damaged"
    assert "row 21" in last.detail
    file.unlink()
    assert rules(list(read(parquet(file), unit))) == {"x.parquet": "unreadable"}


# The hub


def test_hub_by_a_local_folder(tmp_path: Path):
    for shard in range(2):
        rows = [{"text": f"{shard} {n}", "path": f"{n}.py"} for n in range(5)]
        write_parquet(tmp_path / f"train-{shard}.parquet", rows)
    source = hub(tmp_path, license="MIT")
    assert list(plan(source)) == [{"size": 0, "shard": n, "shards": 2} for n in range(2)]
    texts = [f"{shard} {n}" for shard in range(2) for n in range(5)]
    found = collect(source)
    assert [d.text for d in found if isinstance(d, Document)] == texts
    assert found[0] == Document("0 0", "0.py", "python", "MIT")
    limited = collect(source.model_copy(update={"limit": 2}))
    assert [d.text for d in limited if isinstance(d, Document)] == ["0 0", "0 1", "1 0", "1 1"]
    with pytest.raises(UserError, match="cannot be opened"):
        list(plan(source.model_copy(update={"split": "absent"})))
    (tmp_path / "train-1.parquet").write_bytes(b"PAR1 no more")
    found = collect(source)
    assert len(found) == 6
    assert isinstance(found[-1], Dropped)
    assert found[-1].rule in ("damaged", "unreadable")


def test_a_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"^The data set no-such/set cannot be opened.*[^.]\.$"):
        next(plan(hub("no-such/set")))


# What a user can get wrong


def test_errors_are_one_sentence(tmp_path: Path, checkout: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.jsonl").touch()
    os.mkfifo(tmp_path / "fifo.jsonl")
    write_parquet(tmp_path / "x.parquet", [{"body": "x"}])
    for source, words in (
        (folder(tmp_path / "absent"), "There is no"),
        (folder(tmp_path / "absent*"), "There is no"),
        (folder(tmp_path / "empty"), "has no documents"),
        (folder(checkout, include=("*.absent",)), "has no documents"),
        (jsonl(tmp_path / "absent.jsonl"), "There is no"),
        (jsonl(tmp_path / "empty.jsonl"), "has no documents"),
        (jsonl(tmp_path / "fifo.jsonl"), "no regular file"),
        (parquet(tmp_path / "x.parquet"), "has no column text.*body"),
        (git(tmp_path / "empty"), "no git checkout"),
        (git(checkout, revision="absent"), "has no revision absent"),
        (git(checkout, revision="--help"), "has no revision --help"),
        (git(checkout, include=("*.absent",)), "has no documents"),
    ):
        with pytest.raises(UserError, match=rf"{words}.*\.$") as caught:
            list(plan(source))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("package", "make"),
    [
        ("pyarrow", lambda path: parquet(write_parquet(path / "x.parquet", [{"text": "x"}]))),
        ("zstandard", lambda path: jsonl(put(path, {"x.jsonl.zst": b"x"}) / "x.jsonl.zst")),
        ("datasets", lambda path: hub(path)),
    ],
)
def test_packages_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, make: Any
):
    source = make(tmp_path)
    for module in [m for m in sys.modules if m == package or m == f"{package}.parquet"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"{package} is missing: pip install 'jaxformer\[data\]'"):
        list(plan(source))
