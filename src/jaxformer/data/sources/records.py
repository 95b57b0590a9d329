"""JSONL and Parquet files: one document a line or row."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from jaxformer.data.documents import Document, Dropped, conversation
from jaxformer.data.languages import detect, known
from jaxformer.data.recipe import Hub, Records
from jaxformer.data.sources import files
from jaxformer.data.sources.files import Refused, Unit
from jaxformer.errors import UserError
from jaxformer.transcript import Turn

_ZSTANDARD = (".zst", ".zstd")
_JSONL = tuple(
    form + packing
    for form in (".jsonl", ".ndjson", ".json")
    for packing in ("", ".gz", *_ZSTANDARD)
)
_FIELDS = ("turns", "language", "path", "license")
_BLOCK = 1 << 18
_ROWS = 256
"""Rows of a Parquet file that are in memory together."""


def plan(source: Records) -> Iterator[Unit]:
    """Yield units of a `file` each, called `name` in the source: bytes or row groups of it.

    A compressed file is one unit. A folder stands for the files in it that have a fitting suffix.
    """
    divide = _row_groups if source.kind == "parquet" else _ranges
    for root, name in files.locate(source.path):
        if Path(root).is_dir():
            suffixes = (".parquet",) if source.kind == "parquet" else _JSONL
            prefix = f"{name}/" if name else ""
            found = [(f"{root}/{p}", prefix + p) for p, _ in files.walk(root)]
            found = [pair for pair in found if pair[1].endswith(suffixes)]
        elif Path(root).is_file():
            found = [(root, name or Path(root).name)]
        else:
            raise UserError(f"{root} is no regular file; correct the path of the source.")
        for file, label in found:
            for unit in divide(source, file):
                yield {**unit, "file": file, "name": label, "state": _state(file)}


def read(source: Records, unit: Unit, encoding: bool) -> Iterator[Document | Dropped]:
    """Yield the documents of a unit; what was read before damage counts."""
    name = files.shown(unit["name"])
    if Path(unit["file"]).exists() and _state(unit["file"]) != unit["state"]:
        raise UserError(
            f"{unit['file']} has changed since the build was planned; restore it, or remove the "
            "data set's folder and build it anew."
        )
    documents = _read_parquet if source.kind == "parquet" else _read_lines
    try:
        yield from documents(source, unit, name, encoding)
    except Refused as refused:
        yield Dropped(name, refused.rule, refused.detail, license=source.license)
    except OSError as error:
        yield Dropped(name, "unreadable", error.strerror or str(error), license=source.license)


def _state(file: str) -> list[int]:
    """Return what tells a file from a changed one, whose ranges would not fit together."""
    status = Path(file).stat()
    return [status.st_size, status.st_mtime_ns]


def to_document(
    record: Any, where: str, source: Records | Hub, encoding: bool, size: int = 0
) -> Document | Dropped:
    """Return the document of a record: of its text, or of its turns.

    Its `language`, `path` and `license` count before the source's.
    """
    try:
        if not isinstance(record, dict):
            raise Refused("no text", "the record is no object")
        path = files.shown(_string(record, "path")) or where
        license = files.shown(_string(record, "license")) or source.license
        if record.get("turns") is not None:
            return conversation(_turns(record["turns"], encoding), path, license)
        text = record.get(source.text)
        if isinstance(text, bytes):
            text = files.decode(text, encoding)
        elif isinstance(text, str):
            text = files.tidy(text, encoding)
        else:
            what = "is no string" if text is not None else "is missing"
            raise Refused("no text", f"{source.text} {what}")
        files.not_empty(text)
    except Refused as refused:
        return Dropped(where, refused.rule, refused.detail, size, license=source.license)
    told = known(_string(record, "language")) or source.language
    return Document(text, path, told or detect(path, text), license)


def _string(record: dict[str, Any], field: str) -> str:
    value = record.get(field)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _turns(turns: Any, encoding: bool) -> tuple[Turn, ...]:
    """Check the turns of a conversation."""
    if not isinstance(turns, list) or not turns:
        raise Refused("no text", "turns is no list of turns")
    checked = []
    for number, turn in enumerate(turns, 1):
        values = turn if isinstance(turn, dict) else {}
        prompt, code = values.get("prompt"), values.get("code")
        if not isinstance(prompt, str) or not isinstance(code, str):
            raise Refused("no text", f"turn {number} lacks the string prompt or code")
        turn = Turn(files.tidy(prompt, encoding), files.tidy(code, encoding))
        if not turn.prompt.strip() or {"\n", "\r"} & set(turn.prompt):
            raise Refused("no text", f"the prompt of turn {number} is not one line of text")
        checked.append(turn)
    return tuple(checked)


# JSONL


def _ranges(_: Records, file: str) -> Iterator[Unit]:
    """Divide a file into ranges of bytes, each with the number of its first line.

    A unit has the lines that start in it. The one before ends at the first end of a line at or
    behind the last byte before the unit, and those ends that precede this byte count.
    """
    size = Path(file).stat().st_size
    if not size:
        return
    if file.endswith(_ZSTANDARD):
        files.need("zstandard")
    if file.endswith((".gz", *_ZSTANDARD)):
        yield {"size": size}
        return
    step = files.UNIT_BYTES
    with Path(file).open("rb") as stream:
        line = 1
        for start in range(0, size, step):
            end = min(start + step, size)
            yield {"size": end - start, "start": start, "end": end, "line": line}
            if end < size:
                position = start - 1 if start else 0
                ends = _count(stream, end - 1 - position)
                line += ends + (start == 0)


def _count(stream: BinaryIO, length: int) -> int:
    """Count the ends of lines in the next bytes of a file."""
    ends = 0
    while length and (block := stream.read(min(length, 1 << 20))):
        ends += block.count(b"\n")
        length -= len(block)
    return ends


def _read_lines(
    source: Records, unit: Unit, name: str, encoding: bool
) -> Iterator[Document | Dropped]:
    lines = _range(unit) if "start" in unit else enumerate(_lines(_unpacked(unit["file"])), 1)
    for number, line in lines:
        where = f"{name}:{number}"
        if isinstance(line, int):
            refused = files.too_large(line)
            yield Dropped(where, refused.rule, refused.detail, line, license=source.license)
        elif line and not line.isspace():
            yield _parse(line, where, source, encoding)


def _parse(line: bytes, where: str, source: Records, encoding: bool) -> Document | Dropped:
    try:
        text = line.decode("utf-8-sig", "strict" if encoding else "replace")
        record = json.loads(text)
    except UnicodeDecodeError as error:
        rule, detail = "encoding", f"no UTF-8 at byte {error.start} of the line"
    except json.JSONDecodeError as error:
        rule, detail = "not JSON", f"{error.msg} at column {error.colno}"
    except (ValueError, RecursionError) as error:
        rule, detail = "not JSON", str(error)
    else:
        return to_document(record, where, source, encoding, len(line))
    return Dropped(where, rule, detail, len(line), license=source.license)


def _range(unit: Unit) -> Iterator[tuple[int, bytes | int]]:
    """Yield the numbered lines that start in a range of a file's bytes."""
    start, end, number = unit["start"], unit["end"], unit["line"]
    with Path(unit["file"]).open("rb") as stream:
        position = stream.seek(max(start - 1, 0))
        lines = _lines(iter(partial(stream.read, _BLOCK), b""))
        if start:
            line = next(lines, b"")
            position += (line if isinstance(line, int) else len(line)) + 1
        for line in lines if position < end else ():
            yield number, line
            number += 1
            position += (line if isinstance(line, int) else len(line)) + 1
            if position >= end:
                break
    if position < end:
        raise Refused("damaged", "the file is shorter than when it was planned")


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes | int]:
    """Cut blocks of bytes into lines; of one that is too large, yield only the length."""
    pieces: list[bytes] = []
    size = 0
    for block in blocks:
        *ended, rest = block.split(b"\n")
        for piece in ended:
            if pieces or size:
                size += len(piece)
                yield b"".join([*pieces, piece]) if size <= files.FILE_LIMIT else size
                pieces, size = [], 0
            else:
                yield piece if len(piece) <= files.FILE_LIMIT else len(piece)
        if rest:
            size += len(rest)
            pieces.append(rest)
            if size > files.FILE_LIMIT:
                pieces.clear()
    if size:
        yield b"".join(pieces) if size <= files.FILE_LIMIT else size


def _unpacked(file: str) -> Iterator[bytes]:
    """Yield what a compressed file holds, as far as it can be read."""
    try:
        if file.endswith(".gz"):
            with gzip.open(file, "rb") as stream:
                yield from iter(partial(stream.read1, _BLOCK), b"")
        else:
            yield from _unpacked_zstandard(file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Refused("damaged", f"damaged compressed file: {error}") from error


def _unpacked_zstandard(file: str) -> Iterator[bytes]:
    zstandard = files.need("zstandard")
    # Files made with `zstd --long=31` need as large a window.
    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 31)
    frame = None
    with Path(file).open("rb") as stream:
        while data := stream.read(4096):  # little, for it may expand to 32,000 times as much
            while data:
                frame = frame or unpacker.decompressobj()
                try:
                    yield frame.decompress(data)
                except zstandard.ZstdError as error:
                    raise EOFError(error) from error
                data = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError("it ends in the middle")


# Parquet


def _row_groups(source: Records, file: str) -> Iterator[Unit]:
    """Divide a file into ranges of row groups; a damaged one is a unit too, that drops it."""
    parquet, arrow = files.need("pyarrow.parquet"), files.need("pyarrow")
    try:
        with parquet.ParquetFile(file) as opened:
            metadata, columns = opened.metadata, opened.schema_arrow.names
    except (arrow.ArrowException, OSError):
        yield {"size": Path(file).stat().st_size, "groups": [0, 0], "row": 1}
        return
    if not {source.text, "turns"} & set(columns):
        raise UserError(
            f"{file} has no column {source.text}; name one of these as text: {', '.join(columns)}."
        )
    first = size = rows = 0
    row = 1
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        size += sum(
            group.column(c).total_compressed_size
            for c in range(group.num_columns)
            if group.column(c).path_in_schema.partition(".")[0] in (source.text, *_FIELDS)
        )
        rows += group.num_rows
        last = index + 1 == metadata.num_row_groups
        if rows and (last or size >= files.UNIT_BYTES):
            yield {"size": size, "groups": [first, index + 1], "row": row}
            row += rows
            first, size, rows = index + 1, 0, 0


def _read_parquet(
    source: Records, unit: Unit, name: str, encoding: bool
) -> Iterator[Document | Dropped]:
    parquet, arrow = files.need("pyarrow.parquet"), files.need("pyarrow")
    row = unit["row"]
    try:
        with parquet.ParquetFile(unit["file"]) as file:
            names = file.schema_arrow.names
            columns = [column for column in (source.text, *_FIELDS) if column in names]
            groups = range(*unit["groups"])
            batches = file.iter_batches(_ROWS, groups, columns, use_threads=False)
            for batch in batches if groups else ():
                values = [_values(arrow, batch.column(column)) for column in columns]
                for cells in zip(*values, strict=True):
                    record = dict(zip(columns, cells, strict=True))
                    yield to_document(record, f"{name}:{row}", source, encoding)
                    row += 1
    except (FileNotFoundError, PermissionError):
        raise
    except (arrow.ArrowException, OSError, ValueError) as error:
        detail = " ".join(str(error).split())
        raise Refused("damaged", f"damaged Parquet from row {row}: {detail}") from error


def _values(arrow: Any, column: Any) -> list[Any]:
    """Return a column's values; strings as bytes, since nobody has checked that they are UTF-8."""
    if arrow.types.is_dictionary(column.type):
        column = column.dictionary.cast(arrow.binary()).take(column.indices)
    elif arrow.types.is_string(column.type):
        column = column.cast(arrow.binary())
    elif arrow.types.is_large_string(column.type):
        column = column.cast(arrow.large_binary())
    return column.to_pylist()
