"""The ledger: one row for every document that came in, and what became of it."""

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jaxformer.data import duplicates, workfiles
from jaxformer.data.atomic import whole
from jaxformer.data.job import Job
from jaxformer.data.manifest import Count
from jaxformer.data.recipe import source_name
from jaxformer.data.workfiles import column

FILE = "ledger.parquet"
SCHEMA = pa.schema(
    {
        "source": pa.string(),
        "path": pa.string(),
        "language": pa.string(),
        "license": pa.string(),
        "bytes": pa.int64(),
        "tokens": pa.int64(),  # 0 if the document was dropped
        "verdict": pa.string(),
        "detail": pa.string(),
    }
)
_ACCOUNT = b"account"
VERDICTS = {"exact": "duplicate", "near": "near duplicate"}

Accounts = dict[str, dict[str, Count]]
"""By source, by verdict."""


def write_part(job: Job, number: int, index: np.ndarray) -> None:
    """Write the part of one unit.

    Args:
        job: The build.
        number: The unit.
        index: `row` and `length` in tokens of each document that stays.
    """
    rows = list(_rows(job, number, index))
    account: dict[str, Count] = {}
    for *_, size, _, verdict, _ in rows:
        account.setdefault(verdict, Count()).add(size)
    sums = {verdict: count.model_dump() for verdict, count in account.items()}
    columns = zip(*rows, strict=True) if rows else [[]] * len(SCHEMA)
    arrays = [column(c, field.type) for c, field in zip(columns, SCHEMA, strict=True)]
    schema = SCHEMA.with_metadata({_ACCOUNT: json.dumps(sums)})
    with (
        whole(job.unit(number).with_suffix(".ledger")) as part,
        pa.OSFile(str(part), "wb") as file,
        pa.ipc.new_file(file, schema) as out,
    ):
        out.write(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _rows(job: Job, unit: int, index: np.ndarray) -> Iterator[workfiles.Row]:
    source = source_name(job.recipe.sources[job.units[unit]["source"]])
    tokens = dict(zip(index["row"].tolist(), index["length"].tolist(), strict=True))
    gone = {
        int(found["row"]): (verdict, int(found["of_unit"]), int(found["of_row"]))
        for kind, verdict in reversed(VERDICTS.items())
        for found in duplicates.rows_found(job.duplicates(kind), unit)
    }
    names = ["path", "language", "license", "bytes", "verdict", "detail"]
    number = 0
    for batch in workfiles.read_batches(job.unit(unit)):
        columns = (batch[name].to_pylist() for name in names)
        for path, language, license, size, verdict, detail in zip(*columns, strict=True):
            if number in gone:
                verdict, other, place = gone[number]
                detail = "of " + workfiles.read_value(job.unit(other), "path", place)
                owner = source_name(job.recipe.sources[job.units[other]["source"]])
                detail += f" in {owner}" if owner != source else ""
            count = tokens.get(number, 0)
            yield source, path, language, license, size, count, verdict, detail
            number += 1


def write_ledger(job: Job) -> Accounts:
    """Join the parts of all units, and return what they add up to."""
    accounts: Accounts = {source_name(source): {} for source in job.recipe.sources}
    with (
        whole(job.folder / FILE) as part,
        pq.ParquetWriter(part, SCHEMA, compression="zstd") as out,
    ):
        for number, unit in enumerate(job.units):
            with pa.memory_map(str(job.unit(number).with_suffix(".ledger"))) as file:
                table = pa.ipc.open_file(file).read_all()
            out.write_table(table.replace_schema_metadata())
            account = accounts[source_name(job.recipe.sources[unit["source"]])]
            for verdict, sums in json.loads(table.schema.metadata[_ACCOUNT]).items():
                count = account.setdefault(verdict, Count())
                count.documents += sums["documents"]
                count.bytes += sums["bytes"]
    return {
        source: {verdict: account[verdict] for verdict in sorted(account)}
        for source, account in accounts.items()
    }
