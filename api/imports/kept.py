"""An import in the record of the administration: who took which file in, and what came of it."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from api.imports.asked import Loaded
from dispatch.rules_log import write_down


def write_import_down(
    session: Session, kind: str, file: Path, loaded: Loaded, actor: str, now: datetime
) -> None:
    """One line in the record: the kind, the file's name and SHA-256, the counts."""
    told = {"file": file.name, "sha256": hash_of(file), **plain_counts(loaded)}
    write_down(session, "import", kind, None, told, now, actor, now)


def plain_counts(loaded: Loaded) -> dict[str, Any]:
    """The counts with dotted names, and how many rows were refused; lists are left out."""
    counts = dict(_flat(loaded.counts))
    return {**counts, "refused": len(loaded.refused)}


def hash_of(file: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (str, int, float)):
            found.append((f"{prefix}{name}", value))
    return found
