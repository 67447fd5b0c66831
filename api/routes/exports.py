"""`/exports`: layers as files, streamed; large ones as jobs with a link; the data dictionary."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy import select

from api.auth import Account
from api.deps import DbSession, Exporter, Lang, Now, Reach, ServicesDep
from api.export_desk import ExportDesk, FileSent
from api.i18n import Language, translate
from api.models import ExportJob
from api.routes.incidents import PROBLEMS
from dispatch.reading import IncidentFilter
from dispatch.scope import Scope
from grid.core.errors import BadInput, NotAllowed
from maps.dictionary import dictionary, dictionary_csv
from maps.export_filters import Wanted, desk_names, parse_box, parse_list, parse_moment
from maps.export_formats import find_format
from maps.exports import Plan, plan_export
from maps.layers import find_layers

router = APIRouter(prefix="/exports", tags=["exports"])
DICTIONARY = "dictionary"


class ExportIn(BaseModel):
    """What an export is asked for; every filter as `gridward export` takes it."""

    layer: str = Field(max_length=400, examples=["segments,grids,incidents"])
    ending: str = Field(max_length=10, examples=["gpkg"])
    crs: str | None = Field(default=None, max_length=40, examples=["EPSG:4547"])
    bbox: str | None = Field(default=None, max_length=200)
    where: str | None = Field(default=None, max_length=10_000)
    status: str | None = Field(default=None, max_length=2000)
    grid: str | None = Field(default=None, max_length=20_000)
    category: str | None = Field(default=None, max_length=2000)
    from_: str | None = Field(default=None, max_length=40, alias="from")
    to: str | None = Field(default=None, max_length=40)
    at: str | None = Field(default=None, max_length=40)
    columns: str | None = Field(default=None, max_length=2000)
    names: bool = True
    # The console's filters, for layers of incidents.
    queue: str | None = Field(default=None, max_length=40)
    q: str | None = Field(default=None, max_length=200)
    open: bool = False
    post: str | None = Field(default=None, max_length=40)
    assignee: int | None = None
    channel: str | None = Field(default=None, max_length=40)
    flag: str | None = Field(default=None, max_length=40)
    overdue: bool = False
    with_: str | None = Field(default=None, max_length=20, alias="with", examples=["dictionary"])

    model_config = {"populate_by_name": True, "extra": "forbid"}


def get_desk(request: Request) -> ExportDesk:
    """The server's export desk."""
    desk: ExportDesk = request.app.state.exports
    return desk


Desk = Annotated[ExportDesk, Depends(get_desk)]


@router.get("/dictionary.json", responses=PROBLEMS)
def dictionary_json(account: Exporter) -> list[dict[str, str]]:
    """Every column of every layer: type, unit, meaning in Chinese and English, codes."""
    return dictionary(with_names=account.may("see_people"))


@router.get("/dictionary.csv", responses=PROBLEMS)
def dictionary_as_csv(account: Exporter) -> Response:
    """The same as a table."""
    body = dictionary_csv(with_names=account.may("see_people"))
    return Response(body, media_type="text/csv; charset=utf-8")


@router.post("/jobs", status_code=202, responses=PROBLEMS)
def start_job(
    asked: ExportIn, session: DbSession, services: ServicesDep, account: Exporter, desk: Desk,
    scope: Reach, language: Lang, now: Now,
) -> dict[str, Any]:  # fmt: skip
    """Starts an export in the background; ask its `url` until it is done."""
    plan = _plan(asked, services.settings.town.zone, account, scope, now)
    told = asked.model_dump(by_alias=True, exclude_none=True)
    job_id = desk.start(session, account.id, told, plan)
    # The row must be there before the thread looks for it.
    session.commit()
    desk.run(job_id, plan)
    return _told(desk.job(session, account.id, job_id), language)


@router.get("/jobs", responses=PROBLEMS)
def jobs(
    session: DbSession, account: Exporter, desk: Desk, now: Now, language: Lang
) -> list[dict[str, Any]]:
    """The account's exports that are still kept, newest first."""
    desk.sweep(session, now)
    rows = session.scalars(
        select(ExportJob.id)
        .where(ExportJob.account_id == account.id)
        .order_by(ExportJob.made_at.desc())
        .limit(100)
    ).all()
    return [_told(desk.job(session, account.id, job_id), language) for job_id in rows]


@router.get("/jobs/{job_id}", responses=PROBLEMS)
def job(
    job_id: str, session: DbSession, account: Exporter, desk: Desk, language: Lang
) -> dict[str, Any]:
    """How an export stands, with the link of its file when it is done."""
    return _told(desk.job(session, account.id, job_id), language)


@router.get("/jobs/{job_id}/file", responses=PROBLEMS, response_class=FileResponse)
def job_file(job_id: str, session: DbSession, account: Exporter, desk: Desk) -> FileResponse:
    """The file of an export that is done."""
    row = desk.job(session, account.id, job_id)
    file = desk.file_of(row)
    packed = row.file_name.endswith(".zip")
    kind = "application/zip" if packed else find_format(row.file_name).media_type
    return FileResponse(file, media_type=kind, filename=row.file_name)


@router.delete("/jobs/{job_id}", status_code=204, responses=PROBLEMS)
def drop_job(job_id: str, session: DbSession, account: Exporter, desk: Desk) -> None:
    """Cancels an export, or takes its file away."""
    desk.drop(desk.job(session, account.id, job_id))


@router.get("/{name}", responses=PROBLEMS, response_class=StreamingResponse)
def export_file(
    name: str, services: ServicesDep, account: Exporter, desk: Desk, scope: Reach, now: Now,
    crs: str | None = None, bbox: str | None = None, where: str | None = None,
    status: Annotated[list[str] | None, Query()] = None,
    grid: Annotated[list[str] | None, Query()] = None,
    category: Annotated[list[str] | None, Query()] = None,
    from_: Annotated[str | None, Query(alias="from")] = None, to: str | None = None,
    at: str | None = None, columns: Annotated[list[str] | None, Query()] = None,
    names: bool = True,
    queue: Annotated[str | None, Query(max_length=40)] = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    open_: Annotated[bool, Query(alias="open")] = False,
    post: Annotated[str | None, Query(max_length=40)] = None, assignee: int | None = None,
    channel: Annotated[str | None, Query(max_length=40)] = None,
    flag: Annotated[str | None, Query(max_length=40)] = None, overdue: bool = False,
    with_: Annotated[str | None, Query(alias="with", max_length=20)] = None,
) -> StreamingResponse:  # fmt: skip
    """`{layer}.{ending}`: what `gridward export` writes, with the same filters; several layers with commas in one .gpkg.

    `with=dictionary`: a zip of the file and `{layer}.dictionary.csv`, for formats that cannot hold the dictionary.
    """
    layer, _, ending = name.partition(".")
    asked = ExportIn.model_construct(
        layer=layer, ending=ending, crs=crs, bbox=bbox, where=where, status=_joined(status),
        grid=_joined(grid), category=_joined(category), from_=from_, to=to, at=at,
        columns=_joined(columns), names=names, queue=queue, q=q, open=open_, post=post, assignee=assignee,
        channel=channel, flag=flag, overdue=overdue, with_=with_,
    )  # fmt: skip
    plan = _plan(asked, services.settings.town.zone, account, scope, now)
    body, size = desk.send(plan)
    headers = {
        "Content-Disposition": f'attachment; filename="{layer.replace(",", "-")}.{plan.format.ending}"',
        "Cache-Control": "private, no-store",
        "X-Accel-Buffering": "no",
    }
    if size is not None:
        headers["Content-Length"] = str(size)
    return FileSent(body, media_type=plan.format.media_type, headers=headers)


def _plan(asked: ExportIn, zone: Any, account: Account, scope: Scope | None, now: datetime) -> Plan:
    """The export as this account may have it: its own incidents, its own grids' counts, names where it may read them."""
    layers = find_layers(asked.layer)
    closed = [layer.name for layer in layers if layer.whole_town and scope is not None]
    if closed:
        raise NotAllowed("export.layer_not_yours", field="layer", layer=closed[0])
    wanted = Wanted(
        bbox=parse_box(asked.bbox),
        where=asked.where,
        status=parse_list(asked.status),
        grid=parse_list(asked.grid),
        category=parse_list(asked.category),
        from_at=parse_moment(asked.from_, zone, "from"),
        to_at=parse_moment(asked.to, zone, "to"),
        at=parse_moment(asked.at, zone, "at"),
        columns=parse_list(asked.columns),
        with_names=asked.names and account.may("see_people"),
        desk=_desk(asked, now),
        limit_sql=scope.clause if scope else None,
        limit_values=scope.values if scope else None,
        grid_ids=scope.grid_ids if scope else None,
    )
    if any("\x00" in str(part) for part in asked.model_dump().values()):
        raise BadInput("report.unreadable")
    if asked.with_ not in (None, "", DICTIONARY):
        raise BadInput("export.with_unknown", field="with", word=asked.with_, known=DICTIONARY)
    return plan_export(
        layers, f"x.{asked.ending.removeprefix('.')}", asked.crs, wanted, packed=bool(asked.with_)
    )


def _desk(asked: ExportIn, now: datetime) -> IncidentFilter | None:
    """The console's filters, None where none is asked."""
    found = IncidentFilter(
        queue=asked.queue or None,
        words=asked.q or None,
        open_only=asked.open,
        post=asked.post or None,
        assignee_id=asked.assignee,
        channel=asked.channel or None,
        flag=asked.flag or None,
        overdue_at=now if asked.overdue else None,
    )
    return found if desk_names(found) else None


def _joined(values: list[str] | None) -> str | None:
    return ",".join(values) if values else None


def _told(row: ExportJob, language: Language) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": row.id,
        "status": row.status,
        "rows": row.rows,
        "size_bytes": row.size_bytes,
        "asked": row.asked,
        "made_at": row.made_at,
        "finished_at": row.finished_at,
        "expires_at": row.expires_at,
        "url": f"/exports/jobs/{row.id}",
    }
    if row.status == "done":
        found["file"] = f"/exports/jobs/{row.id}/file"
    if row.code:
        found["code"] = row.code
        found["detail"] = translate(language, row.code, **row.values)
    return found
