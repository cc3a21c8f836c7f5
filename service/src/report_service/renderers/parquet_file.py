"""PARQUET: the columns with their exact types, compressed; what the report is stands in the file's metadata."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BufferedIOBase

import pyarrow as pa
import pyarrow.parquet as pq

from report_service.renderers.renderer import Column, ReportFacts

_GROUP_ROWS = 100_000  # of a row group: a reader decompresses one at a time, and so much is held here


class ParquetRenderer:
    """Writes .parquet by Arrow's own writer."""

    extension = "parquet"
    media_type = "application/vnd.apache.parquet"

    def write(
        self, facts: ReportFacts, columns: Sequence[Column], batches: Iterator[pa.RecordBatch], file: BufferedIOBase
    ) -> int:
        """Write all rows, in groups of some hundred thousand."""
        first = next(batches)
        schema = first.schema.with_metadata(_metadata(facts))
        rows, held = 0, [first]
        with pq.ParquetWriter(file, schema, compression="zstd", version="2.6") as writer:
            for batch in batches:
                if sum(each.num_rows for each in held) + batch.num_rows > _GROUP_ROWS:
                    rows += _write(writer, held, schema)
                    held = []
                held.append(batch)
            rows += _write(writer, held, schema)
        return rows


def _write(writer: pq.ParquetWriter, batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> int:
    table = pa.Table.from_batches(batches).replace_schema_metadata(schema.metadata)
    writer.write_table(table, row_group_size=_GROUP_ROWS)
    return int(table.num_rows)


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
