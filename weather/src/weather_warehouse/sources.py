"""Where station files come from: a folder, or a bucket in Amazon S3. Both list and read piece by piece."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

_CHUNK = 1 << 18  # bytes


class SourceError(Exception):
    """Files that cannot be listed, or one that cannot be read."""


@dataclass(frozen=True)
class StationFile:
    """A file by its full name; its chunks are read while they are asked for, and raise SourceError."""

    name: str
    chunks: Callable[[], Iterable[bytes]]

    @property
    def station(self) -> str:
        """The file's name without folder and ending."""
        return self.name.rpartition("/")[2].removesuffix(".txt")


class Source(Protocol):
    """A place with station files."""

    place: str

    def files(self) -> Iterator[StationFile]:
        """Yield each `*.txt` that lies there, not those in folders under it. Raises SourceError."""


class Folder:
    """A folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self.place = str(folder)

    def files(self) -> Iterator[StationFile]:
        """Yield its files, in the order in which the file system has them."""
        try:
            with os.scandir(self.place) as entries:
                for entry in entries:
                    if entry.name.endswith(".txt") and entry.is_file():
                        yield StationFile(entry.path, partial(_read, entry.path))
        except OSError as error:
            raise SourceError(
                f"The folder {self.place} cannot be listed: {error.strerror}; see WEATHER_FOLDER."
            ) from error


class Bucket:
    """A bucket in S3, by a client for it, and the beginning of the keys."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix
        self.place = f"s3://{bucket}/{prefix}"

    def files(self) -> Iterator[StationFile]:
        """Yield its files in the order of their keys; a list of 1,000 at a time is asked for."""
        pages = self._client.get_paginator("list_objects_v2")
        try:
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"):
                for entry in page.get("Contents", []):
                    if entry["Key"].endswith(".txt"):
                        yield StationFile(f"s3://{self._bucket}/{entry['Key']}", partial(self._read, entry["Key"]))
        except (BotoCoreError, ClientError) as error:
            hint = "see WEATHER_BUCKET, and whether the task's role has s3:ListBucket"
            raise SourceError(f"{self.place} cannot be listed: {error}; {hint}.") from error

    def _read(self, key: str) -> Iterator[bytes]:
        try:
            yield from self._client.get_object(Bucket=self._bucket, Key=key)["Body"].iter_chunks(_CHUNK)
        except (BotoCoreError, ClientError) as error:
            raise SourceError(f"It cannot be read: {error}; does the task's role have s3:GetObject?") from error


def _read(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise SourceError(f"It cannot be read: {error.strerror}.") from error
