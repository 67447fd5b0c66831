"""What requests may say and how an incident is answered: one `In`, one `Out`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.i18n import Language, translate
from grid.core.crs import GEOD


class LocationIn(BaseModel):
    """A point: longitude, latitude and its datum (the channel's when absent)."""

    model_config = ConfigDict(extra="forbid")

    lon: float = Field(strict=True, allow_inf_nan=False, examples=[114.6021])
    lat: float = Field(strict=True, allow_inf_nan=False, examples=[33.6014])
    datum: str | None = Field(default=None, examples=["wgs84", "gcj02", "bd09", "epsg:4547"])


class TokenIn(BaseModel):
    """A token asked for a program: its name, its permissions (None: all of the role), its life in days."""

    name: str = Field(min_length=1, max_length=100)
    scopes: list[str] | None = None
    days: int = Field(default=90, ge=1, le=730)


class PasswordIn(BaseModel):
    """A new password, with the one it takes the place of."""

    old: str = Field(max_length=1000)
    new: str = Field(max_length=1000)


class ReporterIn(BaseModel):
    """Who reports, and how they want to hear what becomes of it; all may be left out."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, max_length=200)
    phone: str | None = Field(default=None, max_length=50)
    mail: str | None = Field(
        default=None, max_length=254, pattern=r"^[^@\s<>?&/\"']{1,64}@[^@\s<>?&/\"']{1,190}$"
    )
    tell_by: Literal["sms", "mail"] | None = None
    language: Literal["zh", "en"] | None = None


class IncidentIn(BaseModel):
    """A report: words, a point, or both."""

    model_config = ConfigDict(extra="forbid")

    channel: str = Field(examples=["hotline_12345"])
    description: str = Field(default="", examples=["永胜路与站前路交叉口东北角垃圾满溢"])
    category: str | None = Field(default=None, examples=["06042"])
    address: str | None = None
    location: LocationIn | None = None
    reporter: ReporterIn | None = None
    external_id: str | None = Field(default=None, max_length=200)
    occurred_at: AwareDatetime | None = None


class MoveIn(BaseModel):
    """A step of an incident; `version` is the one the caller has seen."""

    model_config = ConfigDict(extra="forbid")

    move: str
    note: str | None = Field(default=None, max_length=4000)
    to: str | int | None = None
    until: AwareDatetime | None = None
    condition: str | None = None
    category: str | None = None
    version: int | None = None
    # One task by its id, where it is neither one's own nor the lead's.
    task: int | None = None
    # A task added to begin when the lead's is done.
    after_lead: bool = False
    # When it was done, by a phone that had no network; counts where it can be true.
    done_at: AwareDatetime | None = None
    # Where the phone was then (WGS 84), and by how much that may err.
    lon: float | None = Field(default=None, ge=-180, le=180, strict=True)
    lat: float | None = Field(default=None, ge=-90, le=90, strict=True)
    accuracy_m: float | None = Field(default=None, ge=0, le=1_000_000)


class PlaceIn(BaseModel):
    """The place a person has chosen: a point, or a candidate by its position in the list."""

    model_config = ConfigDict(extra="forbid")

    lon: float | None = Field(default=None, strict=True, allow_inf_nan=False)
    lat: float | None = Field(default=None, strict=True, allow_inf_nan=False)
    datum: str | None = None
    candidate: int | None = Field(default=None, ge=0)
    category: str | None = None
    version: int | None = None
    # The place is learned with the words of the text, or with these words marked in it, unless told not to.
    learn: bool = True
    words: str | None = Field(default=None, max_length=100)


class GeoPoint(BaseModel):
    """Where an incident lies, and how that was found."""

    lon: float
    lat: float
    datum: str = "wgs84"
    match: str
    confidence: float
    spread_m: float | None


class IncidentOut(BaseModel):
    """An incident as every reader gets it; personal data of reporters is never in it."""

    number: str
    status: str
    queue: str | None
    channel: str
    category: dict[str, str] | None
    urgency: str | None
    description: str
    address: str | None
    location: GeoPoint | None
    span: dict[str, Any] | None
    span_segments: list[dict[str, Any]]
    candidates: list[dict[str, Any]]
    reading: dict[str, Any]
    segment: dict[str, Any] | None
    side: str | None
    grid: dict[str, str] | None
    neighbour_grid: dict[str, str] | None
    cell: str | None
    tasks: list[dict[str, Any]]
    reason: str
    reasons: list[dict[str, Any]]
    flags: list[str]
    occurred_at: datetime
    reported_at: datetime
    due_at: datetime | None
    amber_at: datetime | None
    reply_due_at: datetime | None
    disposed_at: datetime | None
    ended_at: datetime | None
    lamp: str | None
    version: int
    evidence: list[dict[str, Any]]
    moves: list[str]
    # How it stands beside its state: supervised, returned, questions, extensions, rework.
    standing: dict[str, Any]
    # The incident it was merged into; how often a machine reported it again, and when last.
    merged_into: str | None = None
    repeats: int = 0
    last_repeat_at: datetime | None = None
    # Of one incident asked for alone: what was merged into it, words and photographs of each.
    merged: list[dict[str, Any]] = []
    # Of one incident asked for alone: every clock, and who was told of them by which rule.
    clocks: list[dict[str, Any]] = []
    chases: list[dict[str, Any]] = []


class IncidentPage(BaseModel):
    """One page of incidents."""

    items: list[IncidentOut]
    total: int
    total_is_least: bool
    page: int
    page_size: int


_DEFAULTS = [(name, field.get_default()) for name, field in IncidentOut.model_fields.items()]


def incident_json(shown: dict[str, Any]) -> bytes:
    """An `IncidentOut` that we made ourselves, as JSON: not checked again, which costs more than making it."""
    fields = {name: shown.get(name, default) for name, default in _DEFAULTS}
    return orjson.dumps(fields, option=orjson.OPT_UTC_Z | orjson.OPT_SERIALIZE_NUMPY)


def incident_out(
    row: dict[str, Any],
    language: Language,
    now: datetime,
    moves: list[str] | None = None,
    *,
    with_people: bool = True,
) -> dict[str, Any]:
    """A row of `dispatch.reading` as the answer's shape, sentences in the reader's language."""
    geocoding = row["geocoding"] or {}
    category = None
    if row["category_code"]:
        category = {
            "code": row["category_code"],
            "name_zh": row["category_zh"],
            "name_en": row["category_en"],
        }
    location = None
    if row["lon"] is not None:
        location = {
            "lon": round(row["lon"], 7),
            "lat": round(row["lat"], 7),
            "datum": "wgs84",
            "match": row["match"],
            "confidence": row["confidence"],
            "spread_m": row["spread_m"],
        }
    segment = None
    if row["segment_id"] is not None:
        segment = {"id": row["segment_id"], "street": row["street"]}
    return {
        **{
            name: row[name]
            for name in (
                *("number", "status", "queue", "urgency", "description", "address", "span"),
                *("side", "flags", "occurred_at", "reported_at", "due_at", "disposed_at"),
                *("ended_at", "version", "amber_at", "reply_due_at", "repeats", "last_repeat_at"),
            )
        },
        "channel": row["channel_code"],
        "category": category,
        "location": location,
        "candidates": geocoding.get("candidates", []),
        "reading": geocoding.get("reading", {}),
        "span_segments": geocoding.get("segments", []),
        "segment": segment,
        "grid": _pair(row["grid_code"], row["grid_name"]),
        "cell": row["cell_code"],
        "neighbour_grid": _pair(row["neighbour_code"], row["neighbour_name"]),
        "tasks": [_task(task, with_people) for task in row["tasks"]],
        "reason": reason_text(row["reason"], language, with_people=with_people),
        "reasons": row["reason"] if with_people else [],
        "lamp": lamp_of(row, now),
        "evidence": [_evidence(row, item) for item in row["evidence"]],
        "moves": moves or [],
        "standing": standing_of(row["facts"] or {}),
        "merged_into": (row["facts"] or {}).get("merged_into"),
    }


def standing_of(facts: dict[str, Any]) -> dict[str, Any]:
    """What the workflow knows beside the state, without the people."""
    flags = (
        "supervised",
        "returned",
        "not_accepted",
        "fed_back",
        "question_open",
        "forced",
        "late",
    )
    counts = ("extensions", "suspensions", "reworks", "reopened", "open_tasks", "refused_tasks")
    return {
        **{name: bool(facts.get(name, False)) for name in flags},
        **{name: int(facts.get(name, 0)) for name in counts},
        "extension_asked": facts.get("extension_asked_by") is not None,
        "suspension_asked": facts.get("suspension_asked_by") is not None,
        "suspended_until": facts.get("suspended_until"),
        "appeal": facts.get("appeal"),
    }


def reason_text(
    reasons: list[dict[str, Any]], language: Language, *, with_people: bool = True
) -> str:
    """The reasons of a decision as one line."""
    parts = []
    for item in reasons:
        if not with_people and item["code"].startswith("person."):
            continue
        values = dict(item["values"])
        for name in ("post", "unit", "side", "match", "how", "datum"):
            if values.get(name):
                values[name] = translate(language, f"{name}.{values[name]}")
        if item["code"] == "segment.nearest" and not values.get("street"):
            values["street"] = translate(language, "incident.unnamed_street")
        if item["code"].startswith("segment.equal_"):
            unnamed = translate(language, "incident.unnamed_street")
            between = "、" if language == "zh" else ", "
            values["streets"] = between.join(name or unnamed for name in values["streets"])
            values["segments"] = between.join(str(number) for number in values["segments"])
        values["category_name"] = values.get(f"name_{language}", "")
        if isinstance(values.get("value"), float) and values["value"].is_integer():
            values["value"] = int(values["value"])
        parts.append(translate(language, f"reason.{item['code']}", **values))
    return ("；" if language == "zh" else "; ").join(parts)


def lamp_of(row: dict[str, Any], now: datetime) -> str | None:
    """Green, amber from 80 % of the limit in its own kind of time, red past it; None when nothing runs.

    Past the channel's own reply limit an open incident is red too: the earlier of the two governs.
    """
    due_at, amber_at = row["due_at"], row["amber_at"]
    reply_due_at = row["reply_due_at"] if row["ended_at"] is None else None
    if reply_due_at is not None and now > reply_due_at:
        return "red"
    if due_at is None or row["dispatched_at"] is None:
        return None
    end = row["disposed_at"] or row["ended_at"] or now
    if end > due_at:
        return "red"
    return "amber" if amber_at is not None and end >= amber_at else "green"


def _pair(code: str | None, name: str | None) -> dict[str, str] | None:
    return {"code": code, "name": name or ""} if code else None


def _task(task: dict[str, Any], with_people: bool) -> dict[str, Any]:
    assignee = None
    if task["assignee_id"] is not None and with_people:
        assignee = {"id": task["assignee_id"], "name": task["assignee_name"]}
    return {
        **{
            name: task[name]
            for name in (
                *("id", "post", "lead", "after_lead", "round", "status", "due_at", "accept_by"),
                *("accepted_at", "done_at", "ended_at"),
            )
        },
        "note": task["note"] if with_people else None,
        "ended_by": task["ended_by"] if with_people else None,
        "moves": task.get("moves", []),
        "assignee": assignee,
        "unit": task["unit"],
    }


def merged_part(part: dict[str, Any]) -> dict[str, Any]:
    """An incident merged into another, with the addresses of its photographs."""
    evidence = [
        item | {"url": f"/api/v1/incidents/{part['number']}/evidence/{item['id']}"}
        for item in part["evidence"]
    ]
    return {**{k: v for k, v in part.items() if k != "id"}, "evidence": evidence}


def _evidence(row: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    base = f"/api/v1/incidents/{row['number']}/evidence/{item['id']}"
    distance_m = None
    if item["lon"] is not None and row["lon"] is not None:
        distance_m = round(GEOD.inv(row["lon"], row["lat"], item["lon"], item["lat"])[2])
    return {
        "id": item["id"],
        "kind": item["kind"],
        "stage": item["stage"],
        "size_bytes": item["size_bytes"],
        # How far from the incident it was made, in metres; null when nobody told.
        "distance_m": distance_m,
        "media_type": item["media_type"],
        "url": base,
        "thumbnail_url": f"{base}?size=thumbnail"
        if item["media_type"].startswith("image/")
        else None,
        "taken_at": item["taken_at"],
        "received_at": item["received_at"],
    }
