"""The SQL of schema `gis` and the stamp that says which version of it a database holds; needs no library."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("gis_views.sql")


@cache
def stamp() -> str:
    """What the schema is marked with when its views are those of the source."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
