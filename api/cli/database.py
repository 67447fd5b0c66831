"""`gridward db`: the private cluster. What needs the tables is in `keeping`, loaded only for that."""

from __future__ import annotations

import typer

from api.cli.lazy import LazyGroup, Place
from api.cli.output import Json, finish
from grid.core.cluster import Cluster
from grid.core.errors import BadInput
from grid.core.settings import DatabaseSettings

app = LazyGroup(
    "db",
    {
        "start": Place("api.cli.database", "start", "Start the private cluster."),
        "stop": Place("api.cli.database", "stop", "Stop the private cluster."),
        "status": Place("api.cli.database", "status", "Say whether the database answers."),
        "url": Place("api.cli.database", "url", "Print a libpq URL of the database."),
        "migrate": Place("api.cli.keeping", "migrate", "Bring the tables to the newest version."),
        "backup": Place("api.cli.keeping", "backup", "Write the database into one archive."),
        "analyst": Place("api.cli.analysts", "analyst", "A read-only role for QGIS and geopandas."),
        "restore": Place("api.cli.keeping", "restore", "Replace the database by an archive."),
    },
    "The town's database. Example: gridward db url",
)


def _own() -> Cluster:
    settings = DatabaseSettings()
    if settings.database_url:
        raise BadInput("db.not_ours", field="GRIDWARD_DATABASE_URL")
    return Cluster(settings)


def start(as_json: Json = False) -> None:
    """Start the private cluster. Example: gridward db start"""
    cluster = _own()
    cluster.start()
    finish({"running": True, "url": cluster.url()}, as_json)


def stop(as_json: Json = False) -> None:
    """Stop the private cluster. Example: gridward db stop"""
    finish({"stopped": _own().stop(), "running": False}, as_json)


def status(as_json: Json = False) -> None:
    """Say whether the database answers. Example: gridward db status"""
    settings = DatabaseSettings()
    if settings.database_url:
        finish({"private": False, "url": settings.database_url}, as_json)
        return
    cluster = Cluster(settings)
    finish({"private": True, "running": cluster.running(), "home": str(cluster.home)}, as_json)


def url(as_json: Json = False) -> None:
    """Print a libpq URL of the database. Example: psql "$(gridward db url)" """
    settings = DatabaseSettings()
    address = settings.database_url or Cluster(settings).url()
    if as_json:
        finish({"url": address}, True)
    else:
        typer.echo(address)
