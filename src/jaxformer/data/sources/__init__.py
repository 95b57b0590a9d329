"""Sources of documents: planned as units of work, read unit by unit."""

from collections.abc import Iterator

from jaxformer.data.documents import Document, Dropped
from jaxformer.data.recipe import Source
from jaxformer.data.sources import folder, git, hub, records
from jaxformer.data.sources.files import FILE_LIMIT, UNIT_BYTES, Unit
from jaxformer.errors import UserError

__all__ = ["FILE_LIMIT", "UNIT_BYTES", "Unit", "plan", "read"]

_MODULES = {"folder": folder, "git": git, "jsonl": records, "parquet": records, "hub": hub}


def plan(source: Source) -> Iterator[Unit]:
    """Yield the units of a source, always in the same order.

    A unit is a JSON object that says what to read, about `UNIT_BYTES` of it; `size` is the bytes
    of input, 0 if unknown.

    Raises:
        UserError: If the source is missing, cannot be read as what it should be, or is empty.
    """
    units = _MODULES[source.kind].plan(source)
    first = next(units, None)
    if first is None:
        raise UserError(
            f"The source {source.path} has no documents; correct its path or its patterns."
        )
    yield first
    yield from units


def read(source: Source, unit: Unit, encoding: bool = True) -> Iterator[Document | Dropped]:
    r"""Yield the documents of a unit, and the ones that cannot be read as `Dropped`.

    A bad document never raises. `encoding=False` replaces undecodable bytes instead of dropping
    the document. A byte-order mark is stripped, and `\r\n` becomes `\n`.
    """
    return _MODULES[source.kind].read(source, unit, encoding)
