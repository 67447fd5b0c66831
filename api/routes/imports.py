"""Imports over HTTP: a file brought, looked over, taken in; what was refused as a table; what was imported before."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Account
from api.deps import DbSession, Lang, Now, ServicesDep, allowed
from api.i18n import Language, translate
from api.import_desk import ImportDesk
from api.imports.files import ending_of, look_into
from api.imports.kinds import KINDS
from api.models import ImportRun
from api.routes.incidents import PROBLEMS
from dispatch import rules_log
from grid.core.errors import BadInput, NotFound

router = APIRouter(prefix="/api/v1/admin/imports", tags=["imports"])
Administrator = Annotated[Account, Depends(allowed("administer"), scope="function")]
Word = Annotated[str, Field(max_length=200)]
# So many refused rows are shown; the table has all that are kept.
SHOWN = 200


class ImportIn(BaseModel):
    """A file that was brought, what it is, and how it is read; only options that the kind has.

    mapping: our field → their column · from: the day from which it holds, at once without one.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    file: Annotated[str, Field(max_length=64)]
    kind: Word
    mapping: dict[Word, Word] = Field(default_factory=dict, max_length=100)
    layer: Word | None = None
    crs: Word | None = None
    from_day: date | None = Field(default=None, alias="from")
    hand_over: Literal["offered", "all", "none"] = "offered"
    name: Word | None = None
    official: bool = False
    channel: Word | None = None
    complete: bool = False


def get_desk(request: Request) -> ImportDesk:
    """The server's desk of imports."""
    desk: ImportDesk = request.app.state.imports
    return desk


Desk = Annotated[ImportDesk, Depends(get_desk)]


@router.get("/kinds", responses=PROBLEMS)
def kinds(account: Administrator) -> dict[str, dict[str, Any]]:
    """What may be brought: endings of the file, our fields, the options of each kind."""
    return {
        name: {
            "endings": kind.endings,
            "needed": kind.needed,
            "known": kind.known,
            "options": [option.rstrip("_") for option in kind.options],
        }
        for name, kind in KINDS.items()
    }


@router.put("/files", status_code=201, responses=PROBLEMS)
async def bring(
    request: Request,
    account: Administrator,
    desk: Desk,
    name: Annotated[str, Query(min_length=1, max_length=300)],
) -> dict[str, Any]:
    """Brings a file (the body as it is) for an hour; its hash, its columns and layers."""
    kept = await desk.files.keep(account.id, name, request.stream())
    found = look_into(kept)
    return {
        "file": kept.parent.name,
        "name": kept.name,
        "ending": ending_of(kept.name),
        "size_bytes": kept.stat().st_size,
        **found,
    }


@router.post("", status_code=202, responses=PROBLEMS)
def check(
    asked: ImportIn,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    desk: Desk,
    now: Now,
    after: BackgroundTasks,
) -> dict[str, str]:
    """Looks a file over without keeping anything: ask its row until it is `checked` or `failed`."""
    today = now.astimezone(services.desk.zone).date()
    if asked.from_day is not None and asked.from_day < today:
        raise BadInput("people.from_past", field="from", day=asked.from_day.isoformat())
    later = asked.from_day is not None and asked.from_day > today
    told = {
        "layer": asked.layer or None,
        "crs": asked.crs or None,
        "from_": asked.from_day.isoformat() if asked.from_day is not None and later else None,
        "hand_over": asked.hand_over,
        "name": asked.name or None,
        "official": asked.official,
        "channel": asked.channel or "system",
        "complete": asked.complete,
    }
    kind = KINDS.get(asked.kind)
    options: dict[str, Any] = {name: told[name] for name in (kind.options if kind else ())}
    mapping = {ours: theirs for ours, theirs in asked.mapping.items() if theirs}
    options["mapping"] = mapping or None
    run_id = desk.start(session, account, asked.kind, asked.file, options, now)
    after.add_task(desk.run, run_id)
    return {"id": run_id}


@router.get("/{run_id}", responses=PROBLEMS)
def one_run(
    run_id: str,
    session: DbSession,
    account: Administrator,
    desk: Desk,
    language: Lang,
    now: Now,
) -> dict[str, Any]:
    """How a run stands, and what was found: counts, rows by table, refused rows, faults, incidents."""
    run = desk.find(session, account.id, run_id, now)
    found = {name: value for name, value in run.found.items() if name != "fault_layer"}
    if "refused" in found:
        found["refused"] = _sentences(run, language)[:SHOWN]
    return {
        "id": run.id,
        "kind": run.kind,
        "file_name": run.file_name,
        "file_hash": run.file_hash,
        "status": run.status,
        "step": run.step,
        "expires_at": run.expires_at,
        "code": run.code,
        "detail": translate(language, run.code, **run.values) if run.code else None,
        "field": run.values.get("field"),
        **found,
    }


@router.post("/{run_id}/publish", status_code=202, responses=PROBLEMS)
def publish(
    run_id: str,
    session: DbSession,
    account: Administrator,
    desk: Desk,
    now: Now,
    after: BackgroundTasks,
) -> dict[str, str]:
    """Takes in the very file that was looked over, with the same options, as a whole or not at all."""
    desk.publish(session, account, run_id, now)
    after.add_task(desk.run, run_id)
    return {"id": run_id}


@router.get("/{run_id}/refused.csv", responses=PROBLEMS)
def refused_table(
    run_id: str,
    session: DbSession,
    account: Administrator,
    desk: Desk,
    language: Lang,
    now: Now,
) -> Response:
    """The refused rows with their sentence, for a spreadsheet."""
    run = desk.find(session, account.id, run_id, now)
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow([translate(language, "imports.row"), translate(language, "imports.why"), "code"])
    for row in _sentences(run, language):
        table.writerow([row["row"], _cell(row["reason"]), row["code"]])
    # With a mark of its encoding: spreadsheets would take Chinese for something else.
    return Response(
        "\ufeff" + written.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="refused.csv"'},
    )


@router.get("/{run_id}/faults.geojson", responses=PROBLEMS)
def fault_layer(
    run_id: str, session: DbSession, account: Administrator, desk: Desk, now: Now
) -> Response:
    """Broken shapes, overlaps, gaps and slivers as a layer to mend by."""
    layer = desk.find(session, account.id, run_id, now).found.get("fault_layer")
    if not layer:
        raise NotFound("imports.unknown", field="id")
    return Response(
        layer,
        media_type="application/geo+json",
        headers={"Content-Disposition": 'attachment; filename="faults.geojson"'},
    )


@router.get("", responses=PROBLEMS)
def before(
    session: DbSession,
    account: Administrator,
    limit: Annotated[int, Query(ge=1, le=rules_log.LONGEST_LIST)] = 50,
) -> list[dict[str, Any]]:
    """What was imported before, by page or command, the newest first: who, when, kind, file, hash, counts."""
    return [
        {"at": row["at"], "actor": row["actor"], "kind": row["code"], **(row["after"] or {})}
        for row in rules_log.changes(session, "import", None, limit)
    ]


def _sentences(run: ImportRun, language: Language) -> list[dict[str, Any]]:
    return [
        {**row, "reason": translate(language, row["code"], **row["values"])}
        for row in run.found.get("refused", ())
    ]


def _cell(written: str) -> str:
    """Words that a spreadsheet does not take for a formula."""
    return f"'{written}" if written[:1] in ("=", "+", "-", "@") else written
