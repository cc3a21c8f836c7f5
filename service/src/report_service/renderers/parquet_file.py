"""PARQUET: the columns with their exact types, compressed; what the report is stands in the file's metadata."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from io import BufferedIOBase

import pyarrow as pa
import pyarrow.parquet as pq

from report_service.renderers.renderer import Column, ReportFacts

# Of a row group: a reader decompresses one at a time, and so much is held here.
_GROUP_ROWS, _GROUP_BYTES = 100_000, 64 * 1024**2


class ParquetRenderer:
    """Writes .parquet by Arrow's own writer."""

    extension = "parquet"
    media_type = "application/vnd.apache.parquet"

    def write(
        self, facts: ReportFacts, columns: Sequence[Column], batches: Iterator[pa.RecordBatch], file: BufferedIOBase
    ) -> int:
        """Write all rows, in groups of some hundred thousand, or fewer where they are long."""
        first = next(batches)
        schema = first.schema.with_metadata(_metadata(facts))
        rows = 0
        with pq.ParquetWriter(file, schema, compression="zstd", version="2.6") as writer:
            for group in _groups(itertools.chain([first], batches)):
                writer.write_table(group.replace_schema_metadata(schema.metadata), row_group_size=_GROUP_ROWS)
                rows += group.num_rows
        return rows


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if held and (rows + batch.num_rows > _GROUP_ROWS or size + batch.nbytes > _GROUP_BYTES):
            yield pa.Table.from_batches(held)
            held, rows, size = [], 0, 0
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
    yield pa.Table.from_batches(held)


def _metadata(facts: ReportFacts) -> dict[str, str]:
    return {
        "title": facts.title,
        "description": facts.description,
        "source": facts.source,
        "generated_at": f"{facts.generated_at:%Y-%m-%dT%H:%M:%SZ}",
        "requested_by": facts.requested_by,
        "config_id": str(facts.config_id),
        **{f"parameter: {label}": value for label, value in facts.parameters},
    }
