"""Snapshots of a construct's template."""

from __future__ import annotations

import re
from typing import Any

from syrupy.extensions.json import JSONSnapshotExtension


class TemplateSnapshot(JSONSnapshotExtension):
    """A template without the hashes of what is in its assets."""

    def serialize(self, data: Any, **options: Any) -> str:
        return re.sub(r"\b[0-9a-f]{64}\b", "<hash>", super().serialize(data, **options))
