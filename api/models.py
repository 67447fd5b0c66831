"""Tables of the top floor: accounts and the keys they hold."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from grid.core.database import Base
from grid.models import identity_column


class AccountRow(Base):
    """Somebody who may sign in; `staff_id` ties the account to a person with posts."""

    __tablename__ = "account"

    id: Mapped[int] = identity_column()
    username: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"), index=True)
    password_hash: Mapped[str] = mapped_column(Text)
    failed_count: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    locked_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # A password that somebody else has seen: good for nothing but choosing another.
    must_change: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    # Who the account is at the bureau's own sign-in (OIDC): issuer and subject.
    oidc_subject: Mapped[str | None] = mapped_column(Text, unique=True)


class AccessKey(Base):
    """A session of a page or a token of a program; only the hash of the secret is kept."""

    __tablename__ = "access_key"
    __table_args__ = (
        CheckConstraint("kind in ('session', 'token')", name="kind"),
        Index("ix_access_key_expires_at", "expires_at"),
    )

    secret_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    kind: Mapped[str] = mapped_column(Text)
    csrf: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    # Tokens made for a program: what its owner calls it, and what it may do (null: all the role may).
    name: Mapped[str | None] = mapped_column(Text)
    scopes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))


class PersonalRead(Base):
    """Somebody looked at a reporter's personal data; kept so that it can be asked who did."""

    __tablename__ = "personal_read"

    id: Mapped[int] = identity_column()
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), index=True)
    # The page or question it was shown for: "incident" or "caller".
    occasion: Mapped[str] = mapped_column(Text)


class ExportJob(Base):
    """An export made in the background; the file lies in the home under the id until `expires_at`."""

    __tablename__ = "export_job"
    __table_args__ = (
        CheckConstraint(
            "status in ('waiting', 'running', 'done', 'failed', 'cancelled')", name="status"
        ),
        Index("ix_export_job_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    # What was asked, as it came: layers, ending, crs and filters.
    asked: Mapped[dict[str, Any]] = mapped_column(JSONB)
    file_name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    rows: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    code: Mapped[str | None] = mapped_column(Text)
    values: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    # Moved on while somebody works at it: an old one tells that the server was stopped.
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class SavedFilter(Base):
    """A filter of the console under a name, kept by its owner; may be shared with the role or the desk."""

    __tablename__ = "saved_filter"
    __table_args__ = (
        CheckConstraint("shared in ('nobody', 'role', 'desk')", name="shared"),
        UniqueConstraint("account_id", "name"),
    )

    id: Mapped[int] = identity_column()
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    name: Mapped[str] = mapped_column(Text)
    # The list's own parameters, as they stand in the console's address.
    query: Mapped[dict[str, str]] = mapped_column(JSONB)
    shared: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ShiftNote(Base):
    """What one shift tells the next; only added to."""

    __tablename__ = "shift_note"

    id: Mapped[int] = identity_column()
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    # The beginning of the shift that the note is about.
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    written_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    body: Mapped[str] = mapped_column(Text)


class Presence(Base):
    """Who has which incident open, and when that was last heard; old rows are swept by later ones."""

    __tablename__ = "presence"

    incident_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False, index=True
    )
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


class BaseMapRow(Base):
    """A base map that the bureau has chosen; while the table is empty, the one of the settings (api/base_maps.py)."""

    __tablename__ = "base_map"
    __table_args__ = (
        CheckConstraint("datum in ('wgs84', 'gcj02', 'bd09')", name="datum"),
        CheckConstraint("max_zoom between 1 and 24", name="max_zoom"),
    )

    id: Mapped[int] = identity_column()
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    # Leaflet's pattern with {z} {x} {y}, and {s} and {key} where it has them.
    url: Mapped[str] = mapped_column(Text)
    subdomains: Mapped[str] = mapped_column(Text, server_default="")
    map_key: Mapped[str] = mapped_column(Text, server_default="")
    datum: Mapped[str] = mapped_column(Text, server_default="wgs84")
    attribution: Mapped[str] = mapped_column(Text, server_default="")
    max_zoom: Mapped[int] = mapped_column(Integer, server_default=text("18"))
    place: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    shown: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))


class ImportRun(Base):
    """A file brought on the page of imports: looked over first, then taken in from the very same bytes."""

    __tablename__ = "import_run"
    __table_args__ = (
        CheckConstraint(
            "status in ('checking', 'checked', 'importing', 'done', 'failed')", name="status"
        ),
        Index("ix_import_run_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    kind: Mapped[str] = mapped_column(Text)
    file_name: Mapped[str] = mapped_column(Text)
    file_hash: Mapped[str] = mapped_column(Text)
    # The options as they came: columns, CRS, the day from which it holds …
    asked: Mapped[dict[str, Any]] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(Text)
    step: Mapped[str] = mapped_column(Text, server_default="")
    # What was found or done: counts, refused rows, faults of areas, incidents that change owner.
    found: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    code: Mapped[str | None] = mapped_column(Text)
    values: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    # Moved on with every step; `api/import_desk.py` tells by it and by a lock whether somebody still works.
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
