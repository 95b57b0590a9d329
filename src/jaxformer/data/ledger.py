"""The ledger: one row for every document that came in, and what became of it."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jaxformer.data import duplicates, workfiles
from jaxformer.data.manifest import Count
from jaxformer.data.recipe import source_name
from jaxformer.data.stages import Job
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
VERDICTS = {"exact": "duplicate", "near": "near duplicate"}

Accounts = dict[str, dict[str, Count]]
"""By source, by verdict."""


def write_ledger(job: Job, source_of: list[int]) -> Accounts:
    """Write the ledger of a build and return what it adds up to.

    Args:
        job: The build.
        source_of: The source of each unit.
    """
    accounts: Accounts = {source_name(source): {} for source in job.recipe.sources}
    with (
        workfiles.whole(job.folder / FILE) as part,
        pq.ParquetWriter(part, SCHEMA, compression="zstd") as out,
    ):
        for unit in range(job.units):
            source = source_name(job.recipe.sources[source_of[unit]])
            rows = list(_rows(job, unit, source))
            columns = zip(*rows, strict=True) if rows else [[]] * len(SCHEMA)
            arrays = [column(c, field.type) for c, field in zip(columns, SCHEMA, strict=True)]
            out.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
            account = accounts[source]
            for *_, size, _, verdict, _ in rows:
                account.setdefault(verdict, Count()).add(size)
    return {
        source: {verdict: account[verdict] for verdict in sorted(account)}
        for source, account in accounts.items()
    }


def _rows(job: Job, unit: int, source: str) -> Iterator[workfiles.Row]:
    index = np.load(job.unit(unit).with_suffix(".index.npy"))
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
            count = tokens.get(number, 0)
            yield source, path, language, license, size, count, verdict, detail
            number += 1
