"""The objects of the account that DuckDB has no place for, kept in one file that is replaced as a whole.

Row data, stream positions and captured rows lie in DuckDB; the catalogue never holds what a transaction could roll
back.
"""

from __future__ import annotations

import datetime
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from local.warehouse.errors import missing
from local.warehouse.names import dotted
from local.warehouse.statements import Name

Record = dict[str, Any]
GRANTS = frozenset({"GRANT", "ROLE GRANT"})


class Catalog:
    """Objects by kind and full name. Every change is on disk when the call returns.

    `grant_version` grows when a grant changes. `added` is called with every new object.
    """

    def __init__(self, file: Path) -> None:
        self.grant_version = 0
        self.added: Callable[[Record], None] = lambda record: None
        self._file = file
        self._lock = threading.RLock()
        self._objects: dict[str, dict[str, Record]] = json.loads(file.read_text()) if file.exists() else {}

    def get(self, kind: str, name: Name | str) -> Record | None:
        """The object's record, or None."""
        return self._objects.get(kind, {}).get(name if isinstance(name, str) else dotted(name))

    def need(self, kind: str, name: Name | str) -> Record:
        """The object's record; raises 002003 if it does not exist."""
        record = self.get(kind, name)
        if record is None:
            raise missing(kind, name if isinstance(name, str) else dotted(name))
        return record

    def all(self, kind: str) -> list[Record]:
        """All objects of a kind in the order of their names."""
        return [record for _, record in sorted(self._objects.get(kind, {}).items())]

    def add(self, kind: str, name: Name, owner: str, *, key: str | None = None, **values: Any) -> Record:
        """Make an object, in place of the one of that name.

        `key` is its name in the catalogue if that is not `name`.
        """
        record: Record = {
            "kind": kind,
            "name": list(name),
            "key": key or dotted(name),
            "id": uuid.uuid4().hex,
            "owner": owner,
            "created_on": datetime.datetime.now(datetime.UTC).isoformat(),
            **values,
        }
        with self._lock:
            self._objects.setdefault(kind, {})[record["key"]] = record
            self._note(kind)
            self.save()
        if kind not in GRANTS:
            self.added(record)
        return record

    def _note(self, kind: str) -> None:
        if kind in GRANTS:
            self.grant_version += 1

    def change(self, record: Record, **values: Any) -> None:
        """Change some of an object's values."""
        with self._lock:
            record.update(values)
            self._note(record["kind"])
            self.save()

    def drop(self, kind: str, key: str) -> Record | None:
        """Remove an object; the record that was there, or None."""
        with self._lock:
            record = self._objects.get(kind, {}).pop(key, None)
            if record is not None:
                self._note(kind)
                self.save()
        return record

    def drop_within(self, container: Name) -> None:
        """Remove everything that lies in a database or a schema."""
        with self._lock:
            for kind, key, record in list(self.everything()):
                if len(record["name"]) > len(container) and tuple(record["name"][: len(container)]) == container:
                    del self._objects[kind][key]
            self.save()

    def everything(self) -> Iterator[tuple[str, str, Record]]:
        """(kind, key, record) of all objects."""
        for kind, objects in self._objects.items():
            for key, record in objects.items():
                yield kind, key, record

    def save(self) -> None:
        """Write the file beside itself and put it in place in one step."""
        with self._lock:
            draft = self._file.with_suffix(".draft")
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:  # it holds secrets
                out.write(
                    json.dumps(self._objects)
                )  # dump and indent would leave the C encoder aside: ten times slower
                out.flush()
                os.fsync(out.fileno())
            draft.replace(self._file)
