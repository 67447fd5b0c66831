"""`gridward db migrate|backup|restore`: the tables brought up to date, kept and brought back."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from api.analysts import NAME, let_read_again, readers
from api.cli.opening import prepare
from api.cli.output import Json, finish, say
from api.migrate import migrate as run_migrations
from api.services import make_services
from grid.core.cluster import find_binaries
from grid.core.database import database_url
from grid.core.errors import BadInput, Unavailable
from grid.core.settings import DatabaseSettings


def migrate(as_json: Json = False) -> None:
    """Bring the tables to the newest version. Example: gridward db migrate"""
    services = make_services()
    run_migrations(services.engine)
    finish({"migrated": True}, as_json)


def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write.")], as_json: Json = False
) -> None:
    """Write the whole database into one archive. Example: gridward db backup town.dump"""
    services = prepare()
    fresh = file.with_name(file.name + ".new")
    _run(
        "pg_dump", ["--format=custom", f"--file={fresh}", database_url(services.settings.database)]
    )
    fresh.replace(file)
    finish({"file": str(file), "bytes": file.stat().st_size}, as_json)


def restore(
    file: Annotated[Path, typer.Argument(help="An archive of `gridward db backup`.")],
    as_json: Json = False,
    yes: Annotated[bool, typer.Option("--yes", help="Replace what is there.")] = False,
) -> None:
    """Replace the database by an archive. Example: gridward db restore town.dump --yes"""
    if not file.exists():
        raise BadInput("import.file_missing", field="file", path=str(file))
    if not yes:
        raise BadInput("db.restore_unconfirmed", field="--yes")
    services = make_services()
    # Roles belong to the server, not to the database: an archive may name some that this server does not have.
    known = _archived_analysts(file)
    with services.engine.connect() as connection:
        known |= readers(connection)
    services.engine.dispose()
    target = f"--dbname={database_url(services.settings.database)}"
    _run(
        "pg_restore",
        ["--clean", "--if-exists", "--no-owner", "--no-acl", "--single-transaction", target, str(file)],
    )  # fmt: skip
    with services.engine.begin() as connection:
        missing = let_read_again(connection, known)
    services.engine.dispose()
    say("db.restored", file=file)
    for name in missing:
        names = " --with-names" if known[name] else ""
        say("db.analyst_missing", name=name, command=f"gridward db analyst {name}{names}")
    finish({"restored": str(file), "analysts": sorted(known), "missing": missing}, as_json)


def _archived_analysts(file: Path) -> dict[str, bool]:
    """Roles that read schema gis by the archive: role → may read people's names."""
    told = _run("pg_restore", ["--schema-only", "--file=-", str(file)])
    found = re.findall(r"^GRANT USAGE ON SCHEMA gis TO (\S+);$", told, re.MULTILINE)
    named = re.findall(r"^GRANT SELECT ON TABLE gis\.people TO (\S+);$", told, re.MULTILINE)
    return {role.strip('"'): role in named for role in found if NAME.fullmatch(role.strip('"'))}


def _run(program: str, arguments: list[str]) -> str:
    binary = find_binaries(DatabaseSettings()) / program
    done = subprocess.run(  # noqa: S603 (PostgreSQL's own program, no shell)
        [str(binary), *arguments], capture_output=True, text=True, check=False, env={**os.environ}
    )
    if done.returncode != 0:
        raise Unavailable("db.program_failed", program=program, detail=done.stderr.strip()[-400:])
    return done.stdout
