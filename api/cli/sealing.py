"""`gridward seal`: the daily seal over the record, and its copy kept outside the database."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.opening import opened
from api.cli.output import Json, finish, say
from dispatch.seal import seal_days, seals
from grid.core.errors import BadInput


def seal(
    to: Annotated[
        Path | None, typer.Option(help="Write every seal into this file, to be kept elsewhere.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Seal every day of the record that is over. Example: gridward seal --to seals.txt"""
    with opened() as (services, session):
        made = seal_days(session, services.desk.zone, datetime.now(UTC))
        known = seals(session)
    if to is not None:
        fresh = to.with_name(to.name + ".new")
        fresh.write_text("".join(f"{s.day} {s.lines} {s.hash}\n" for s in known), encoding="utf-8")
        fresh.replace(to)
    if not as_json:
        for one in made:
            say("seal.made", day=one.day, lines=one.lines, hash=one.hash)
    new = [{"day": one.day.isoformat(), "lines": one.lines, "hash": one.hash} for one in made]
    finish({"sealed": new, "days": len(known)}, as_json)


def read_seals(file: Path) -> dict[date, str]:
    """Seals as `--to` wrote them; BadInput `import.file_missing`, `seal.file_unreadable`."""
    if not file.exists():
        raise BadInput("import.file_missing", field="file", path=str(file))
    found: dict[date, str] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        parts = line.split()
        try:
            day, _, written = parts
            found[date.fromisoformat(day)] = written
        except ValueError as error:
            raise BadInput("seal.file_unreadable", field="file", line=number) from error
    return found
