"""Data sets of the Hugging Face hub, streamed shard by shard."""

import os
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from jaxformer.data.documents import Document, Dropped
from jaxformer.data.recipe import Hub
from jaxformer.data.sources import files
from jaxformer.data.sources.files import Unit
from jaxformer.data.sources.records import to_document
from jaxformer.errors import UserError


def plan(source: Hub) -> Iterator[Unit]:
    """Yield a unit for each shard.

    Raises:
        UserError: If the data set cannot be reached, or has no such subset or split.
    """
    shards = _stream(source).num_shards
    for index in range(shards):
        yield {"size": 0, "shard": index, "shards": shards}


def read(source: Hub, unit: Unit, encoding: bool) -> Iterator[Document | Dropped]:
    """Yield the documents of a shard; where it breaks off, one `Dropped` says why."""
    where = f"{source.path}/{source.split}-{unit['shard']}"
    try:
        shard = _stream(source).shard(num_shards=unit["shards"], index=unit["shard"])
        records = iter(islice(shard, source.limit or None))
    except Exception as error:
        yield Dropped(where, "unreadable", _sentence(error), license=source.license)
        return
    row = 0
    while True:
        # Whatever may go wrong in a library of loaders, the network included, ends this shard.
        try:
            record = next(records, None)
        except Exception as error:
            yield Dropped(where, "damaged", _sentence(error), license=source.license)
            return
        if record is None:
            return
        row += 1
        yield to_document(record, f"{where}:{row}", source, encoding)


def _stream(source: Hub) -> Any:
    local = files.expand(source.path)
    path = local if Path(local).exists() else source.path
    return _load(path, source.subset, source.split, os.getpid())


@lru_cache(8)
def _load(path: str, subset: str | None, split: str, _process: int) -> Any:
    """Open a data set, once a process: its list of files comes over the network."""
    datasets = files.need("datasets")
    try:
        return datasets.load_dataset(path, name=subset, split=split, streaming=True)
    except Exception as error:
        raise UserError(
            f"The data set {path} cannot be opened; check its name, subset and split, and the "
            f"connection: {_sentence(error).rstrip('.')}."
        ) from error


def _sentence(error: Exception) -> str:
    """Return the first line of an error, or its name if it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
