"""Where the files of evidence lie: a folder of the home, or an S3-compatible store; each file under its hash.

Whatever the store, readers get a path of this machine: files of an S3 store are fetched once into a folder of their own,
compared with their hash, and forgotten after some days.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from grid.core.errors import Unavailable
from grid.core.settings import StoreSettings

CACHED_FOR = timedelta(days=3)
_GONE = frozenset({"404", "NoSuchKey", "NotFound"})
_TIMEOUT_S = 10


class EvidenceStore(Protocol):
    """Keeps files by name (`ab/abcd….jpg`); the same name is always the same content."""

    def keep(self, name: str, content: bytes, media_type: str) -> None:
        """Puts a file in; one that is there already stays. Unavailable `evidence.store_away`."""

    def file(self, name: str) -> Path | None:
        """A file as a path of this machine, None when there is none. Unavailable `evidence.store_away`."""


class FolderStore:
    """Files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, name: str, content: bytes, media_type: str = "") -> None:
        """Written beside and moved into place: a killed process leaves no half file."""
        path = self._folder / name
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".new", delete=False) as fresh:
            fresh.write(content)
        Path(fresh.name).replace(path)

    def file(self, name: str) -> Path | None:
        """The file's own path."""
        path = self._folder / name
        return path if path.exists() else None


class S3Store:
    """Files in a bucket of an S3-compatible store; fetched ones in a folder of this machine."""

    def __init__(self, settings: StoreSettings, cache: Path) -> None:
        self._settings, self._cache = settings, FolderStore(cache)
        self._lock = threading.Lock()
        self._client: Any = None

    def keep(self, name: str, content: bytes, media_type: str) -> None:
        """Sent before the transaction ends: what has an answer is there; a rolled back one leaves a file nobody names."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._s3().put_object(
                Bucket=self._settings.bucket,
                Key=self._key(name),
                Body=content,
                ContentType=media_type,
            )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("evidence.store_away") from error
        self._cache.keep(name, content)

    def file(self, name: str) -> Path | None:
        """Fetched when it is not at hand; a file that is not what its name says is none."""
        from botocore.exceptions import BotoCoreError, ClientError

        known = self._cache.file(name)
        if known is not None:
            return known
        try:
            answer = self._s3().get_object(Bucket=self._settings.bucket, Key=self._key(name))
            content: bytes = answer["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _GONE:
                return None
            raise Unavailable("evidence.store_away") from error
        except BotoCoreError as error:
            raise Unavailable("evidence.store_away") from error
        if hashlib.sha256(content).hexdigest() != Path(name).stem:
            return None
        self._cache.keep(name, content)
        return self._cache.file(name)

    def _key(self, name: str) -> str:
        return f"{self._settings.prefix}{name}"

    def _s3(self) -> Any:
        """The client, made when it is first needed: towns without such a store never load it."""
        with self._lock:
            if self._client is None:
                import boto3
                from botocore.config import Config

                self._client = boto3.client(
                    "s3",
                    endpoint_url=self._settings.endpoint or None,
                    region_name=self._settings.region,
                    aws_access_key_id=self._settings.key or None,
                    aws_secret_access_key=self._settings.secret or None,
                    config=Config(
                        connect_timeout=_TIMEOUT_S,
                        read_timeout=_TIMEOUT_S,
                        retries={"max_attempts": 2},
                        s3={"addressing_style": "path"},
                        # Other makers' stores do not all know the newer checksums.
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                    ),
                )
            return self._client


def store_of(settings: StoreSettings, home: Path) -> EvidenceStore:
    """The store that the settings name: a bucket where there is one, else the folder of the home."""
    if settings.bucket:
        return S3Store(settings, home / "evidence-fetched")
    return FolderStore(home / "evidence")


def forget_fetched(home: Path, now: datetime) -> int:
    """Takes away what was fetched from a bucket some days ago; how many files."""
    folder, gone = home / "evidence-fetched", 0
    for path in folder.glob("*/*"):
        fetched = datetime.fromtimestamp(path.stat().st_mtime, now.tzinfo)
        if now - fetched > CACHED_FOR:
            path.unlink(missing_ok=True)
            gone += 1
    return gone
