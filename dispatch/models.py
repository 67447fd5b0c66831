"""Tables of the first floor: categories, channels, calendars, incidents, tasks, history, evidence, notices.

`dispatch/incidents.py` is the only writer of incidents, tasks and history. History only grows: a
trigger in the database refuses update and delete. Reporters stand in a table of their own, so that
no view or layer carries personal data by accident.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from geoalchemy2 import WKBElement
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Computed,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import (
    ARRAY,
    JSONB,
    TSTZRANGE,
    TSVECTOR,
    ExcludeConstraint,
    Range,
)
from sqlalchemy.orm import Mapped, mapped_column

from grid.core.database import Base
from grid.models import geometry_column_type, identity_column

INCIDENT_NUMBERS = "incident_number"


class Category(Base):
    """A category of the catalogue; posts and limits are data that the bureau may change."""

    __tablename__ = "category"
    __table_args__ = (CheckConstraint("kind in ('component', 'event')", name="kind"),)

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    standard: Mapped[str] = mapped_column(Text)
    class_zh: Mapped[str] = mapped_column(Text)
    class_en: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    post: Mapped[str] = mapped_column(Text)
    support_posts: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # Those of support_posts whose task begins when the lead's is done; the others begin at once.
    support_after: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    urgency: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    aliases: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    # No longer given to new incidents from then on, but `replaced_by` where there is one.
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    replaced_by: Mapped[str | None] = mapped_column(ForeignKey("category.code"))


class FilingCondition(Base):
    """What must be seen for an incident to be filed, and the limit that follows, for a period."""

    __tablename__ = "filing_condition"
    __table_args__ = (
        CheckConstraint(
            "limit_unit in ('hours', 'working_hours', 'working_days', 'natural_days')",
            name="limit_unit",
        ),
        CheckConstraint("limit_value > 0", name="limit_value"),
        ExcludeConstraint(
            ("code", "="),
            ("valid", "&&"),
            name="ex_filing_condition_one_limit_at_a_time",
            using="gist",
        ),
        Index("ix_filing_condition_category_code", "category_code"),
    )

    id: Mapped[int] = identity_column()
    category_code: Mapped[str] = mapped_column(ForeignKey("category.code"))
    code: Mapped[str] = mapped_column(Text)
    number: Mapped[int] = mapped_column(SmallInteger)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    closing_zh: Mapped[str] = mapped_column(Text)
    closing_en: Mapped[str] = mapped_column(Text)
    limit_value: Mapped[float] = mapped_column(Float)
    limit_unit: Mapped[str] = mapped_column(Text)
    valid: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)


class Channel(Base):
    """A way reports come in, with the datum its points are in unless they say otherwise."""

    __tablename__ = "channel"

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    datum: Mapped[str] = mapped_column(Text)
    # A trusted channel's report goes straight to the crew, without verifying and filing by hand.
    trusted: Mapped[bool] = mapped_column(Boolean)
    # Whether somebody without an account may report through it.
    open_to_all: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    # A camera or sensor, which repeats itself: its report is attached to the open incident it repeats.
    machine: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    # The channel's own reply limit, beside the incident's; a unit of limits, or same_day (before midnight).
    reply_value: Mapped[float | None] = mapped_column(Float)
    reply_unit: Mapped[str | None] = mapped_column(Text)
    reply_emergency_value: Mapped[float | None] = mapped_column(Float)
    reply_emergency_unit: Mapped[str | None] = mapped_column(Text)


class CalendarYear(Base):
    """Whether a year's shifted workdays have been published by the State Council."""

    __tablename__ = "calendar_year"

    year: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    official: Mapped[bool] = mapped_column(Boolean)


class CalendarDay(Base):
    """A day that differs from the weekday rule: a holiday, or a weekend day that is worked."""

    __tablename__ = "calendar_day"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    is_workday: Mapped[bool] = mapped_column(Boolean)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)


class Incident(Base):
    """One problem at one place, followed from report to closing."""

    __tablename__ = "incident"
    __table_args__ = (
        UniqueConstraint("channel_code", "external_id"),
        Index("ix_incident_point", "point", postgresql_using="gist"),
        Index("ix_incident_status_reported_at", "status", "reported_at"),
        Index("ix_incident_grid_id_reported_at", "grid_id", "reported_at"),
        Index("ix_incident_queue", "queue", postgresql_where=text("queue is not null")),
        Index("ix_incident_reported_at", "reported_at"),
        Index("ix_incident_category_code_reported_at", "category_code", "reported_at"),
        Index("ix_incident_due_at", "due_at"),
        Index("ix_incident_words", "words", postgresql_using="gin"),
        Index(
            "ix_incident_flags",
            "flags",
            postgresql_using="gin",
            postgresql_where=text("flags <> '{}'"),
        ),
        Index("ix_incident_open_due_at", "due_at", postgresql_where=text("ended_at is null")),
        Index(
            "ix_incident_open_reported_at", "reported_at", postgresql_where=text("ended_at is null")
        ),
        Index(
            "ix_incident_open_point",
            "point",
            postgresql_using="gist",
            postgresql_where=text("ended_at is null"),
        ),
        Index(
            "ix_incident_merged_into_id",
            "merged_into_id",
            postgresql_where=text("merged_into_id is not null"),
        ),
    )

    id: Mapped[int] = identity_column()
    number: Mapped[str] = mapped_column(Text, unique=True)
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    channel_code: Mapped[str] = mapped_column(ForeignKey("channel.code"))
    external_id: Mapped[str | None] = mapped_column(Text)
    idempotency_key: Mapped[str | None] = mapped_column(Text, unique=True)
    category_code: Mapped[str | None] = mapped_column(ForeignKey("category.code"))
    condition_id: Mapped[int | None] = mapped_column(ForeignKey("filing_condition.id"))
    description: Mapped[str] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    # What `q` looks in: the pairs of characters of both, made by the database itself.
    words: Mapped[Any] = mapped_column(
        TSVECTOR,
        Computed("search_grams(description, address)", persisted=True),
        deferred=True,
        deferred_raiseload=True,
    )
    status: Mapped[str] = mapped_column(Text)
    queue: Mapped[str | None] = mapped_column(Text)
    flags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    reported_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    filed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    dispatched_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disposed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # When the disposal clock turns amber, and when the channel's own reply is due.
    amber_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reply_due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    given_lon: Mapped[float | None] = mapped_column(Float)
    given_lat: Mapped[float | None] = mapped_column(Float)
    given_datum: Mapped[str | None] = mapped_column(Text)
    point: Mapped[WKBElement | None] = mapped_column(geometry_column_type("POINT"))
    span: Mapped[WKBElement | None] = mapped_column(geometry_column_type("LINESTRING"))
    match: Mapped[str] = mapped_column(Text, server_default="none")
    confidence: Mapped[float] = mapped_column(Float, server_default="0")
    spread_m: Mapped[float | None] = mapped_column(Float)
    geocoding: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    segment_id: Mapped[int | None] = mapped_column(ForeignKey("segment.id"))
    side: Mapped[str | None] = mapped_column(Text)
    distance_m: Mapped[float | None] = mapped_column(Float)
    grid_id: Mapped[int | None] = mapped_column(ForeignKey("grid.id"))
    neighbour_grid_id: Mapped[int | None] = mapped_column(ForeignKey("grid.id"))
    # The standard unit cell as its code was when the incident came in: cells may be cut anew later.
    cell_code: Mapped[str | None] = mapped_column(Text, index=True)
    reason: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    # What the workflow knows of the incident, and its clocks, as `dispatch/standing.py` writes them.
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    clocks: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    ground_version: Mapped[int] = mapped_column(BigInteger)
    # The incident that this one is a duplicate of (status merged).
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("incident.id"))
    # How often a machine has reported it again, and when it last saw it.
    repeats: Mapped[int] = mapped_column(Integer, server_default="0")
    last_repeat_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Reporter(Base):
    """Who reported an incident: personal data, kept apart and anonymised after a set time."""

    __tablename__ = "reporter"
    __table_args__ = (
        CheckConstraint("tell_by in ('sms', 'mail')", name="tell_by"),
        CheckConstraint("language in ('zh', 'en')", name="language"),
    )

    id: Mapped[int] = identity_column()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), index=True)
    name: Mapped[str | None] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text, index=True)
    anonymised_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    mail: Mapped[str | None] = mapped_column(Text)
    # The channel by which the reporter wants to hear what becomes of it (sms, mail); none: not told.
    tell_by: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(Text)


class Task(Base):
    """The part of an incident that one post must do."""

    __tablename__ = "task"
    __table_args__ = (
        Index("ix_task_assignee_id_status", "assignee_id", "status"),
        Index("ix_task_incident_id", "incident_id"),
        Index("ix_task_post_incident_id", "post", "incident_id"),
    )

    id: Mapped[int] = identity_column()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    post: Mapped[str] = mapped_column(Text)
    lead: Mapped[bool] = mapped_column(Boolean)
    # Begins when the lead's task of its round is done.
    after_lead: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    # Counts from 1; each sending out and each rework begins another.
    round: Mapped[int] = mapped_column(Integer, server_default="1")
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    # Given to a whole unit: everybody of it sees the task, whoever accepts becomes the assignee.
    unit_id: Mapped[int | None] = mapped_column(ForeignKey("unit.id"), index=True)
    status: Mapped[str] = mapped_column(Text)
    assigned_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # Comes back to the dispatcher when nobody has accepted it by then.
    accept_by: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    accepted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    done_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # How it ended without being done: when, by whom, and why.
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_by: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)


class History(Base):
    """One line of an incident's story; append-only, each line chained to the one before by a hash."""

    __tablename__ = "history"
    __table_args__ = (
        UniqueConstraint("incident_id", "seq"),
        Index("ix_history_written_at", "written_at", postgresql_using="brin"),
    )

    id: Mapped[int] = identity_column()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    seq: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    actor: Mapped[str] = mapped_column(Text)
    move: Mapped[str] = mapped_column(Text)
    from_status: Mapped[str | None] = mapped_column(Text)
    to_status: Mapped[str] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    previous_hash: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(Text)
    # The beginning of the writing transaction, by the database's clock; decides which seal covers the line.
    written_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=text("now()")
    )


class Evidence(Base):
    """A photograph, voice note, video clip or document of an incident; the file lies in the home under its hash."""

    __tablename__ = "evidence"
    __table_args__ = (
        CheckConstraint("stage in ('before', 'during', 'after')", name="stage"),
        CheckConstraint("kind in ('photo', 'voice', 'video', 'document')", name="kind"),
        Index("ix_evidence_incident_id", "incident_id"),
    )

    id: Mapped[int] = identity_column()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    stage: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, server_default="photo")
    client_id: Mapped[str | None] = mapped_column(Text, unique=True)
    sha256: Mapped[str] = mapped_column(Text)
    media_type: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(Integer)
    # What the file said of itself, taken out of it, or left in it (`in_file`: true; signed documents, older clips).
    about: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default=text("'{}'"))
    actor: Mapped[str] = mapped_column(Text)
    point: Mapped[WKBElement | None] = mapped_column(geometry_column_type("POINT"))
    taken_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Notice(Base):
    """Something a person must be told, left in the same transaction as the move that caused it."""

    __tablename__ = "notice"
    __table_args__ = (
        Index("ix_notice_staff_id", "staff_id"),
        Index("ix_notice_to_spread", "id", postgresql_where=text("spread_at is null")),
    )

    id: Mapped[int] = identity_column()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), index=True)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    # staff (the person of staff_id), unit:ID, role:NAME, resident (whoever reported).
    audience: Mapped[str] = mapped_column(Text, server_default="staff")
    kind: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    # When the worker made its deliveries; null is the queue.
    spread_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    seen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class LiveEvent(Base):
    """What the consoles are told: one row a change of an incident, announced by NOTIFY at commit."""

    __tablename__ = "live_event"
    __table_args__ = (
        Index(
            "ix_live_event_to_spread",
            "id",
            postgresql_where=text("spread_at is null and last_seq is not null"),
        ),
    )

    id: Mapped[int] = identity_column()
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    incident_id: Mapped[int] = mapped_column(BigInteger, index=True)
    # The history lines of the same transaction; the worker tells residents and other systems of them.
    first_seq: Mapped[int | None] = mapped_column(Integer)
    last_seq: Mapped[int | None] = mapped_column(Integer)
    spread_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
