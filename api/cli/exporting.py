"""`gridward export`: layers into files, streamed; a stopped one leaves nothing behind."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import Json, counting, finish
from api.cli.sparing import leave_out
from api.cli.stopping import leaving_by_signal
from api.newest import is_newest
from grid.core.cluster import Cluster
from grid.core.settings import DatabaseSettings, TownSettings
from maps.dictionary import dictionary_csv
from maps.export_filters import Wanted, parse_box, parse_list, parse_moment
from maps.export_formats import ENDINGS, dictionary_name
from maps.layers import LAYERS, Layer, find_layers

if TYPE_CHECKING:
    from dispatch.reading import IncidentFilter

Many = list[str] | None


def export(
    layer: Annotated[
        str, typer.Argument(help=f"One of {', '.join(LAYERS)}; several with commas (.gpkg).")
    ],
    out: Annotated[
        Path, typer.Argument(help=f"The file; its ending says the format: {', '.join(ENDINGS)}.")
    ],
    crs: Annotated[
        str | None, typer.Option("--crs", help="EPSG:4547 or any EPSG code, gcj02, bd09.")
    ] = None,
    bbox: Annotated[
        str | None, typer.Option("--bbox", help="west,south,east,north in degrees.")
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", help="CQL2: \"status = 'closed' AND reworks > 0\".")
    ] = None,
    status: Annotated[Many, typer.Option("--status", help="States, with commas.")] = None,
    grid: Annotated[Many, typer.Option("--grid", help="Grid codes, with commas.")] = None,
    category: Annotated[Many, typer.Option("--category", help="Category codes.")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="First day or moment (included).")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="End (left out).")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="The streets, grids and crews of that moment.")
    ] = None,
    columns: Annotated[Many, typer.Option("--columns", help="Only these columns.")] = None,
    names: Annotated[bool, typer.Option(help="People's names beside their ids.")] = True,
    open_: Annotated[bool, typer.Option("--open", help="Incidents not ended.")] = False,
    overdue: Annotated[bool, typer.Option("--overdue", help="Past their limit now.")] = False,
    queue: Annotated[str | None, typer.Option("--queue", help="The queue they wait in.")] = None,
    words: Annotated[str | None, typer.Option("--q", help="A number, or words.")] = None,
    post: Annotated[str | None, typer.Option("--post", help="Post of a task.")] = None,
    assignee: Annotated[int | None, typer.Option("--assignee", help="Person's id.")] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="Channel.")] = None,
    flag: Annotated[str | None, typer.Option("--flag", help="Doubt about the place.")] = None,
    with_dictionary: Annotated[
        bool,
        typer.Option(
            "--dictionary/--no-dictionary",
            help="For csv, geojson, kml: the meaning of the columns beside, as NAME.dictionary.csv.",
        ),
    ] = True,
    as_json: Json = False,
) -> None:
    """Write layers for QGIS or geopandas. Example: gridward export incidents may.gpkg --crs EPSG:4547 --from 2026-05-01 --to 2026-06-01"""
    zone = TownSettings().zone
    layers = find_layers(layer)
    wanted = Wanted(
        bbox=parse_box(bbox),
        where=where,
        status=parse_list(status),
        grid=parse_list(grid),
        category=parse_list(category),
        from_at=parse_moment(from_, zone, "from"),
        to_at=parse_moment(to, zone, "to"),
        at=parse_moment(at, zone, "at"),
        columns=parse_list(columns),
        with_names=names,
        desk=_desk(
            queue=queue, words=words, post=post, assignee_id=assignee, channel=channel, flag=flag,
            open_only=open_, overdue_at=datetime.now(UTC) if overdue else None,
        ),
    )  # fmt: skip
    if not _traced(layers):
        leave_out("pandas", "geopandas")
    # Here and not above: GDAL is loaded when the words are known to be right, and without what it does not need.
    from maps.export_rows import Watch
    from maps.exports import export as write
    from maps.exports import plan_export

    plan = plan_export(layers, out.name, crs, wanted)
    url = _prepared(layers)
    with leaving_by_signal(), counting() as count:
        counts = write(url, plan, out, Watch(progress=count), zone)
    result = {"layer": layer, "features": sum(counts.values()), "file": str(out)}
    if len(counts) > 1:
        result["layers"] = counts
    if with_dictionary and not plan.format.explains:
        beside = out.with_name(dictionary_name(out.name.removesuffix(f".{plan.format.ending}")))
        beside.write_text(dictionary_csv((layers[0].name,), with_names=names), encoding="utf-8")
        result["dictionary"] = str(beside)
    finish({**result, "crs": plan.target.name}, as_json)


def _desk(**asked: Any) -> IncidentFilter | None:
    """The console's filters, None where none is asked: what they load is paid by whoever asks."""
    if not any(asked.values()):
        return None
    from dispatch.reading import IncidentFilter

    return IncidentFilter(**asked)


def _traced(layers: tuple[Layer, ...]) -> bool:
    """Whether the grids' ground is asked for, which may have to be worked out anew with all that takes."""
    return any(layer.name == "territories" for layer in layers)


def _prepared(layers: tuple[Layer, ...]) -> str:
    """The database's URL, with the newest tables and views; without the rest of the program in memory."""
    settings = DatabaseSettings()
    cluster = Cluster(settings)
    if settings.database_url is None:
        cluster.start()
    url = settings.database_url or cluster.url()
    if _traced(layers) or not is_newest(url):
        from api.migrate import migrate
        from grid.core.database import make_engine

        engine = make_engine(settings)
        migrate(engine)
        if _traced(layers):
            from api.layers import keep_territory_now

            keep_territory_now(engine, datetime.now(UTC))
        engine.dispose()
    return url
