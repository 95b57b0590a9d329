"""Files that a build leaves on its way; each appears whole or not at all."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa

from jaxformer.data.atomic import whole

BATCH_BYTES = 4_000_000
"""Text that is held at a time."""

SCHEMA = pa.schema(
    {
        "path": pa.string(),
        "language": pa.string(),
        "license": pa.string(),
        "bytes": pa.int64(),
        "verdict": pa.string(),  # `kept`, or the rule that dropped it
        "detail": pa.string(),
        "text": pa.string(),  # of kept documents only
        "prompts": pa.string(),  # of conversations: JSON of prompts' start, end, start, end, …
    }
)

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]
"""Values in the order of `SCHEMA`."""
_TEXT = SCHEMA.get_field_index("text")


def remove_parts(folder: Path) -> None:
    """Remove what a killed process left behind."""
    for part in folder.rglob(".*.part"):
        part.unlink(missing_ok=True)


def save(path: Path, array: np.ndarray) -> None:
    """Write an array as `.npy`."""
    with whole(path) as part, part.open("wb") as file:
        np.save(file, array)


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as an Arrow file, a few megabytes of text at a time."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SCHEMA) as out:
        waiting: list[Row] = []
        size = 0
        for row in rows:
            waiting.append(row)
            size += 200 + len(row[_TEXT] or "")
            if size >= BATCH_BYTES:
                out.write(_batch(waiting))
                waiting, size = [], 0
        out.write(_batch(waiting))


def _batch(rows: list[Row]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True) if rows else [[]] * len(SCHEMA)
    return pa.RecordBatch.from_arrays(
        [column(c, field.type) for c, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def column(values: Sequence[Any], type: pa.DataType) -> pa.Array:
    """Return strings or integers as an Arrow array; a string may be None.

    `pyarrow.array` does the same, but imports pandas first, for a third of a second.
    """
    if type == pa.string():
        builder = pa.lib.StringBuilder()  # pyright: ignore[reportAttributeAccessIssue]
        builder.append_values(values)
        return builder.finish()
    data = np.array(values, type.to_pandas_dtype())
    return pa.Array.from_buffers(type, len(data), [None, pa.py_buffer(data)])


def read_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the batches of an Arrow file, mapped from the disk."""
    with pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_file(file)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def read_value(path: Path, column: str, row: int) -> Any:
    """Return the value of one column in one row."""
    reader, starts = _reader(path), _starts(path)
    number = int(np.searchsorted(starts, row, "right")) - 1
    return reader.get_batch(number)[column][row - starts[number]].as_py()


def count_rows(path: Path) -> int:
    """Return the number of rows of an Arrow file."""
    return sum(batch.num_rows for batch in read_batches(path))


def remembered(count: int) -> Callable[[Callable[[Path], T]], Callable[[Path], T]]:
    """Remember what a function made of the last files, as long as these are the same files."""

    def remember(function: Callable[[Path], T]) -> Callable[[Path], T]:
        @functools.lru_cache(count)
        def made(path: Path, *_: int) -> T:
            return function(path)

        def look(path: Path) -> T:
            status = path.stat()
            return made(path, status.st_ino, status.st_mtime_ns)

        return look

    return remember


@remembered(32)
def _reader(path: Path) -> Any:
    return pa.ipc.open_file(pa.memory_map(str(path)))


@remembered(32)
def _starts(path: Path) -> np.ndarray:
    return np.cumsum([0, *(batch.num_rows for batch in read_batches(path))])[:-1]
