"""What an import of streets changes, shown: a table of kinds, a layer of lines, the open incidents left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
from rich.console import Console
from rich.table import Table

from api.cli.output import say
from grid.core.errors import BadInput
from grid.loading.street_change import StreetChange
from maps.layer_frames import DRIVERS

SHOWN = 10
LAYER = "street_changes"


def show_difference(change: StreetChange) -> None:
    """Prints segments and metres of each kind, as they are in force and as the file has them."""
    table = Table("kind", "before", "after", "before_m", "after_m")
    for kind in change.kinds:
        if kind.before or kind.after:
            table.add_row(
                kind.kind,
                str(kind.before),
                str(kind.after),
                f"{kind.before_m:.0f}",
                f"{kind.after_m:.0f}",
            )
    Console(highlight=False).print(table)


def plain_difference(change: StreetChange) -> dict[str, Any]:
    """The same for programs, with every changed segment."""
    return {
        "difference": [
            {
                "kind": kind.kind,
                "before": kind.before,
                "after": kind.after,
                "before_m": round(kind.before_m, 1),
                "after_m": round(kind.after_m, 1),
            }
            for kind in change.kinds
        ],
        "segments": change.listed(),
    }


def layer_target(file: Path | None) -> Path | None:
    """The file for the layer, known to be writable before the work begins.

    Raises BadInput `export.ending_unknown`, `export.folder_missing`.
    """
    if file is None:
        return None
    if file.suffix.lower() not in DRIVERS:
        known = ", ".join(DRIVERS)
        raise BadInput("export.ending_unknown", field="--changes", ending=file.suffix, known=known)
    if not file.resolve().parent.is_dir():
        raise BadInput("export.folder_missing", field="--changes", folder=str(file.parent))
    return file


def write_layer(changes: gpd.GeoDataFrame, target: Path) -> None:
    """Writes lines before and after (columns of `StreetChange.changes`) as one layer, EPSG:4326."""
    fresh = target.with_name(f".{target.stem}.new{target.suffix}")
    driver = DRIVERS[target.suffix.lower()]
    try:
        fresh.unlink(missing_ok=True)
        pyogrio.write_dataframe(
            changes, fresh, driver=driver, layer=LAYER, geometry_type="LineString"
        )
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def say_left_behind(numbers: list[str]) -> None:
    """Names the open incidents on segments that are gone, a few of them, and where that is mended."""
    if numbers:
        things = ", ".join(numbers[:SHOWN])
        say("cli.open_on_gone_segments", count=len(numbers), things=things)
