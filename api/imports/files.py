"""Files that were brought: kept by their hash for one account, known by their first bytes, looked into for columns.

GDAL opens a file by what stands in it, whatever its name says; some of its formats name other files and addresses.
So only files whose first bytes are those of their ending are taken.
"""

from __future__ import annotations

import hashlib
import shutil
import time
import zipfile
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyogrio
from anyio.to_thread import run_sync
from pyogrio.errors import DataSourceError

from api.imports.kinds import KINDS, LAYERS, OSM, TABLES
from grid.core.errors import BadInput, NotFound
from grid.sources.tables import read_table

KEPT_SECONDS = 3600
LONGEST_NAME = 120
# What a file of an ending begins with, after blanks; None: words, which the reader of tables looks at itself.
BEGINS: dict[str, tuple[bytes, ...]] = {
    ".gpkg": (b"SQLite format 3\x00",),
    ".fgb": (b"fgb",),
    ".geojson": (b"{",),
    ".json": (b"{",),
    ".zip": (b"PK\x03\x04",),
    ".xlsx": (b"PK\x03\x04",),
    ".gz": (b"\x1f\x8b",),
    ".shp": (b"\x00\x00\x27\x0a",),
    ".osm": (b"<",),
}
# A zip holds one of these, with what belongs to it.
INSIDE = (".shp", ".gpkg", ".fgb", ".geojson", ".json")
# A zip may grow so many times: more is no map.
MOST_GROWTH = 30


class BroughtFiles:
    """The folder of one server where files wait to be taken in."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder, self._most_bytes = folder, most_bytes

    async def keep(self, account_id: int, name: str, pieces: AsyncIterable[bytes]) -> Path:
        """Keeps a file as it comes, under its hash. Raises BadInput `imports.too_large`, `imports.ending`,
        `imports.not_what_it_says`, `imports.empty`.
        """
        plain = plain_name(name)
        ending = ending_of(plain)
        own = self._folder / str(account_id)
        own.mkdir(parents=True, exist_ok=True)
        fresh = own / f".coming-{time.time_ns()}"
        digest, size = hashlib.sha256(), 0
        try:
            with fresh.open("wb") as file:
                async for piece in pieces:
                    size += len(piece)
                    if size > self._most_bytes:
                        most_mb = self._most_bytes // 1_000_000
                        raise BadInput("imports.too_large", field="file", most_mb=most_mb)
                    digest.update(piece)
                    await run_sync(file.write, piece)
            if not size:
                raise BadInput("imports.empty", field="file")
            with fresh.open("rb") as file:
                head = file.read(4096)
            check_head(plain, ending, head)
            kept = own / digest.hexdigest() / plain
            shutil.rmtree(kept.parent, ignore_errors=True)
            kept.parent.mkdir()
            fresh.replace(kept)
        finally:
            fresh.unlink(missing_ok=True)
        return kept

    def find(self, account_id: int, file_hash: str) -> Path:
        """An account's file by its hash; NotFound `imports.file_gone` for one that is not kept (any more)."""
        safe = file_hash if file_hash.isalnum() else "-"
        found = sorted((self._folder / str(account_id) / safe).glob("[!.]*"))
        if not found:
            raise NotFound("imports.file_gone", field="file")
        return found[0]

    def sweep(self) -> None:
        """Takes away what has been kept for an hour."""
        oldest = time.time() - KEPT_SECONDS
        for kept in self._folder.glob("*/*"):
            if kept.stat().st_mtime < oldest:
                shutil.rmtree(kept, ignore_errors=True) if kept.is_dir() else kept.unlink(
                    missing_ok=True
                )


def opened_file(file: Path, work: Path) -> Path:
    """The file that is read: itself, or the one layer that a zip holds, unpacked into `work`.

    Raises BadInput `imports.zip_unclear`, `imports.too_large`, `imports.not_what_it_says`.
    """
    if file.suffix.lower() != ".zip":
        return file
    most = max(file.stat().st_size, 1_000_000) * MOST_GROWTH
    try:
        with zipfile.ZipFile(file) as packed:
            parts = [one for one in packed.infolist() if not one.is_dir()]
            if sum(one.file_size for one in parts) > most:
                raise BadInput("imports.too_large", field="file", most_mb=most // 1_000_000)
            for one in parts:
                # Only the last part of the name: nothing is written elsewhere.
                target = work / plain_name(one.filename)
                with packed.open(one) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise BadInput("imports.not_what_it_says", field="file", ending=".zip") from error
    found = [one for one in sorted(work.iterdir()) if one.suffix.lower() in INSIDE]
    if len(found) != 1:
        raise BadInput("imports.zip_unclear", field="file", endings=", ".join(INSIDE))
    with found[0].open("rb") as opened:
        check_head(found[0].name, found[0].suffix.lower(), opened.read(4096))
    return found[0]


def look_into(file: Path) -> dict[str, Any]:
    """What the page offers to choose from: the columns of the file (of its first layer), and its layers.

    Raises BadInput `import.unreadable`.
    """
    name = file.name.lower()
    if name.endswith(OSM):
        return {"columns": [], "layers": []}
    if name.endswith(TABLES):
        return {"columns": [str(column) for column in _columns(file)], "layers": []}
    try:
        layers = [str(layer) for layer, _ in pyogrio.list_layers(file)]
        return {
            "columns": [str(one) for one in pyogrio.read_info(file)["fields"]],
            "layers": layers,
        }
    except (DataSourceError, ValueError) as error:
        raise BadInput("import.unreadable", field="file", path=file.name, why=str(error)) from error


def plain_name(name: str) -> str:
    """The last part of a name as it came, without signs that no file should have."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    safe = "".join(sign for sign in last if sign.isprintable() and sign not in '<>:"|?*').strip(
        ". "
    )
    return safe[-LONGEST_NAME:] or "file"


def ending_of(name: str) -> str:
    """The ending of a name that is known; BadInput `imports.ending`."""
    known = sorted({ending for kind in KINDS.values() for ending in kind.endings}, key=len)
    found = [ending for ending in known if name.lower().endswith(ending)]
    if not found:
        raise BadInput("imports.ending", field="file", file=name, endings=" ".join(known))
    return found[-1]


def check_head(name: str, ending: str, head: bytes) -> None:
    """BadInput `imports.not_what_it_says` for a file that does not begin as its ending does."""
    wanted = BEGINS.get(Path(f"x{ending}").suffix)
    begins = (
        head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if ending in (".osm", ".json", ".geojson")
        else head
    )
    if wanted is not None and not begins.startswith(wanted):
        raise BadInput("imports.not_what_it_says", field="file", ending=ending, file=name)
    if wanted is None and ending in (*LAYERS, *TABLES) and b"\x00" in head:
        raise BadInput("imports.not_what_it_says", field="file", ending=ending, file=name)


def _columns(file: Path) -> pd.Index:
    return read_table(file).columns
