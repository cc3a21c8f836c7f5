"""The later chunks of large results, kept until the client has fetched them."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import Any

import pyarrow as pa

from local.warehouse import results

CHUNKED_RESULTS_KEPT = 40


class ResultChunks:
    """Chunks by the random part of their address, which is the only secret that guards them."""

    def __init__(self) -> None:
        self._chunks: OrderedDict[str, list[bytes]] = OrderedDict()

    def keep(self, host: str, query_id: str, rest: list[pa.Table]) -> dict[str, Any]:
        """Keep the later chunks for the client, who reaches the server at `host`; the oldest results go."""
        key = secrets.token_urlsafe(24)
        self._chunks[key] = [results.stream_bytes(table) for table in rest]
        while len(self._chunks) > CHUNKED_RESULTS_KEPT:
            self._chunks.popitem(last=False)
        base = f"http://{host}/_warehouse/chunks/{key}"
        described = [
            {
                "url": f"{base}/{n}",
                "rowCount": table.num_rows,
                "uncompressedSize": len(data),
                "compressedSize": len(data),
            }
            for n, (table, data) in enumerate(zip(rest, self._chunks[key], strict=True))
        ]
        return {"chunks": described, "chunkHeaders": {"x-warehouse-result": query_id}}

    def get(self, result: str, number: int) -> bytes | None:
        """One chunk; None if there is none."""
        found = self._chunks.get(result, [])
        return found[number] if number < len(found) else None
