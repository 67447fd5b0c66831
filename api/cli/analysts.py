"""`gridward db analyst`: a role for QGIS and geopandas, and how they connect."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer
from sqlalchemy import text
from sqlalchemy.engine import make_url

from api.analysts import remove_analyst, save_analyst
from api.cli.opening import prepare
from api.cli.output import Json, finish, say
from grid.core.cluster import DATABASE, Cluster
from grid.core.database import sqlalchemy_url
from grid.core.settings import DatabaseSettings


def analyst(
    name: Annotated[str, typer.Argument(help="The role: small letters, digits, _.")],
    with_names: Annotated[
        bool, typer.Option("--with-names", help="May also read people's names (gis.people).")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the role away.")] = False,
    as_json: Json = False,
) -> None:
    """Make a read-only role on schema gis, or a new password for it. Example: gridward db analyst anna"""
    services = prepare()
    with services.engine.begin() as connection:
        if remove:
            remove_analyst(connection, name)
            finish({"removed": name}, as_json)
            return
        password = save_analyst(connection, name, with_names=with_names)
        open_now = bool(connection.scalar(text("show listen_addresses")))
    where = _where(services.settings.database)
    result: dict[str, Any] = {"name": name, "password": password, "schema": "gis", **where}
    result["reachable"] = open_now
    result["url"] = (
        f"postgresql://{name}:{quote(password)}@{where['host']}:{where['port']}/{where['database']}"
    )
    if as_json:
        finish(result, True)
        return
    say("cli.analyst.password", name=name, password=password)
    if not open_now:
        say("cli.analyst.closed")
    say("cli.analyst.qgis", name=name, **where)
    say(
        "cli.analyst.geopandas", url=result["url"].replace("postgresql://", "postgresql+psycopg://")
    )


def _where(settings: DatabaseSettings) -> dict[str, Any]:
    """Host, port and database as another program must name them."""
    if settings.database_url:
        url = make_url(sqlalchemy_url(settings.database_url))
        return {"host": url.host or "localhost", "port": url.port or 5432, "database": url.database}
    host, port = Cluster(settings).listening() or ("127.0.0.1", 5433)
    host = "127.0.0.1" if host in ("0.0.0.0", "*", "::") else host  # noqa: S104 (shown, not listened on)
    return {"host": host, "port": port, "database": DATABASE}
