"""`gridward export`: layers into files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.opening import opened
from api.cli.output import Json, finish, steps
from maps.exports import LAYERS, export_layer


def export(
    layer: Annotated[str, typer.Argument(help=f"One of {', '.join(LAYERS)}.")],
    out: Annotated[Path, typer.Argument(help="The file; its ending says the format.")],
    as_json: Json = False,
) -> None:
    """Write a layer for QGIS or geopandas. Example: gridward export incidents incidents.gpkg"""
    with opened(keep=False) as (_, session), steps() as step:
        step(layer)
        count = export_layer(session, layer, out, datetime.now(UTC), with_people=True)
    finish({"layer": layer, "features": count, "file": str(out)}, as_json)
