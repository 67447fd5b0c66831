"""Layers into files: what QGIS and geopandas open in the right place, with grid, crew and state.

`export` is the story: the format by the ending, the filters checked, rows streamed from the views of schema
`gis` into a file beside the target, which gets its name when it is whole.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from grid.core.errors import BadInput, Trouble, Unavailable
from maps.export_crs import Target, target_crs
from maps.export_filters import Wanted, check_filters, reading
from maps.export_formats import Format, Job, check_fit, find_format, with_dictionary
from maps.export_rows import Rows, Watch, moved, opened_rows
from maps.layers import LAYERS, Layer


@dataclass(frozen=True, slots=True)
class Plan:
    """An export that can be done: layers, format, system and filters fit together."""

    layers: tuple[Layer, ...]
    format: Format
    target: Target
    wanted: Wanted


def plan_export(
    layers: tuple[Layer, ...], name: str, crs: str | None, wanted: Wanted, *, packed: bool = False
) -> Plan:
    """Checks all that can be checked before a row is read. `packed`: with the dictionary beside, in a zip, where the
    format cannot hold it.

    Raises BadInput `export.ending_unknown`, `export.crs_unknown`, `export.one_layer_only`, `export.wgs84_only`
    and what `check_filters` and `reading` raise.
    """
    format_, target = find_format(name), target_crs(crs)
    if packed and not format_.explains:
        format_ = with_dictionary(format_)
    check_fit(format_, layers, target)
    check_filters(layers, wanted)
    for layer in layers:
        reading(layer, wanted, plain=format_.plain)
    return Plan(layers, format_, target, wanted)


def export(url: str, plan: Plan, target: Path, watch: Watch, zone: ZoneInfo) -> dict[str, int]:
    """Writes the file and returns the number of features by layer.

    A failed or cancelled export leaves nothing behind. Raises BadInput `export.folder_missing`, `export.where_unfit`,
    Conflict `export.cancelled`, Unavailable `export.read_failed`, `export.write_failed`.
    """
    if not target.resolve().parent.is_dir():
        raise BadInput("export.folder_missing", field="out", folder=str(target.parent))
    fresh = target.with_name(f".{secrets.token_hex(6)}.part.{plan.format.ending}")
    try:
        counts = write_export(url, plan, fresh, watch, zone)
        fresh.replace(target)
    finally:
        _remove(fresh)
    return counts


def write_export(url: str, plan: Plan, file: Path, watch: Watch, zone: ZoneInfo) -> dict[str, int]:
    """Writes into `file` itself, for whoever sends it while it grows; raises as `export`."""
    at = plan.wanted.at.isoformat() if plan.wanted.at else None
    counts: dict[str, int] = {}
    try:
        with opened_rows(url, at) as rows:
            for layer in plan.layers:
                counts[layer.name] = _write_layer(rows, plan, layer, file, watch, zone)
        if plan.format.finish is not None:
            plan.format.finish(file, plan.layers, plan.wanted.with_names)
    except (Trouble, KeyboardInterrupt):
        raise
    except Exception as error:
        # What went wrong in the stream reaches a C library, and comes back, as a bare message.
        if watch.failure is not None:
            raise watch.failure from None
        raise Unavailable("export.write_failed", problem=str(error)[:300]) from error
    return counts


def _write_layer(
    rows: Rows, plan: Plan, layer: Layer, file: Path, watch: Watch, zone: ZoneInfo
) -> int:
    watch.layer, watch.rows = layer.name, 0
    format_, named = plan.format, plan.wanted.with_names
    asked = rows.read(layer, plan.wanted, format_)
    with asked as flow:
        batches = moved(flow.schema, flow.batches, plan.target, watch)
        format_.write(Job(layer, batches, file, plan.target, named, zone))
    return watch.rows


def _remove(file: Path) -> None:
    """The file and what SQLite keeps beside it."""
    for ending in ("", "-journal", "-wal", "-shm"):
        file.with_name(file.name + ending).unlink(missing_ok=True)


__all__ = ["LAYERS", "Plan", "export", "plan_export", "write_export"]
