"""Tables of what is sent outside: who is told how, every sending of every notice, other systems, workers.

A row of `notice` is what somebody must be told; a row of `delivery` is one notice on its way by one
channel. `dispatch/notices.py` makes deliveries, `dispatch/notice_queue.py` sees them through.
"""

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


class ContactChannel(Base):
    """A way to reach a person, a unit's group or everybody of a role.

    `url` is an Apprise URL; of kind sms or mail it may be a bare number or address, which goes through
    the town's own gateway. `kinds` empty means every kind of notice.
    """

    __tablename__ = "contact_channel"
    __table_args__ = (
        CheckConstraint("num_nonnulls(staff_id, unit_id, role) = 1", name="one_owner"),
        CheckConstraint(
            "kind in ('wecom', 'dingtalk', 'feishu', 'sms', 'mail', 'webhook', 'other')",
            name="kind",
        ),
        CheckConstraint("language in ('zh', 'en')", name="language"),
    )

    id: Mapped[int] = identity_column()
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"), index=True)
    unit_id: Mapped[int | None] = mapped_column(ForeignKey("unit.id"), index=True)
    role: Mapped[str | None] = mapped_column(Text, index=True)
    kind: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    # The partner behind the URL: what hangs there holds up nothing that goes elsewhere.
    lane: Mapped[str] = mapped_column(Text)
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    language: Mapped[str | None] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class NoticeWish(Base):
    """How one person wants to be told: language, and quiet hours of their own (empty text: none)."""

    __tablename__ = "notice_wish"
    __table_args__ = (CheckConstraint("language in ('zh', 'en')", name="language"),)

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    language: Mapped[str | None] = mapped_column(Text)
    quiet_hours: Mapped[str | None] = mapped_column(Text)


class PushSubscription(Base):
    """A browser that a person has allowed to show our notices (Push API, RFC 8030 and 8291)."""

    __tablename__ = "push_subscription"

    id: Mapped[int] = identity_column()
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    endpoint: Mapped[str] = mapped_column(Text, unique=True)
    p256dh: Mapped[str] = mapped_column(Text)
    auth: Mapped[str] = mapped_column(Text)
    lane: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Webhook(Base):
    """Another system that is told of incidents; the secret signs what it gets."""

    __tablename__ = "webhook"

    id: Mapped[int] = identity_column()
    name: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Text)
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Delivery(Base):
    """One notice, or one event for another system, on its way by one channel.

    States: waiting (until `next_at`), sending (by `worker`), sent, given_up (tried too often),
    uncertain (the outcome is unknown, a person decides), dropped (nobody to send to any more).
    """

    __tablename__ = "delivery"
    __table_args__ = (
        CheckConstraint(
            "state in ('waiting', 'sending', 'sent', 'given_up', 'uncertain', 'dropped')",
            name="state",
        ),
        # At most one delivery of one notice by one channel, whoever plans it how often.
        UniqueConstraint("notice_id", "target"),
        UniqueConstraint("event_id", "target"),
        Index(
            "ix_delivery_waiting",
            "lane",
            "next_at",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_delivery_sending", "worker_id", postgresql_where=text("state = 'sending'")),
        Index("ix_delivery_target_sent_at", "target", "sent_at"),
        Index(
            "ix_delivery_failed",
            "state",
            "id",
            postgresql_where=text("state in ('given_up', 'uncertain')"),
        ),
        Index("ix_delivery_webhook_id", "webhook_id", "id"),
    )

    id: Mapped[int] = identity_column()
    notice_id: Mapped[int | None] = mapped_column(ForeignKey("notice.id"))
    # The live event that a webhook is told of, and what it is told.
    event_id: Mapped[int | None] = mapped_column(BigInteger)
    payload: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contact_channel.id"))
    push_id: Mapped[int | None] = mapped_column(ForeignKey("push_subscription.id"))
    webhook_id: Mapped[int | None] = mapped_column(ForeignKey("webhook.id"))
    # Without a foreign key: the record of sending outlives the reporter's data.
    reporter_id: Mapped[int | None] = mapped_column(BigInteger)
    target: Mapped[str] = mapped_column(Text)
    lane: Mapped[str] = mapped_column(Text)
    urgent: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    state: Mapped[str] = mapped_column(Text, server_default="waiting")
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    next_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    worker_id: Mapped[int | None] = mapped_column(BigInteger)
    sending_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # A code and a status number, never a partner's words: they may repeat a telephone number.
    last_error: Mapped[str | None] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ResidentTemplate(Base):
    """What a resident is told at a turn of an incident, for all categories or one, in one language."""

    __tablename__ = "resident_template"
    __table_args__ = (
        UniqueConstraint("kind", "category_code", "language", postgresql_nulls_not_distinct=True),
        CheckConstraint("language in ('zh', 'en')", name="language"),
    )

    id: Mapped[int] = identity_column()
    kind: Mapped[str] = mapped_column(Text)
    category_code: Mapped[str | None] = mapped_column(ForeignKey("category.code"))
    language: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    changed_by: Mapped[str] = mapped_column(Text)


class Worker(Base):
    """A worker that runs or ran; while it lives it holds an advisory lock on its id."""

    __tablename__ = "worker"

    id: Mapped[int] = identity_column()
    name: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class PeriodicRun(Base):
    """The newest run of each periodic job."""

    __tablename__ = "periodic_run"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    error: Mapped[str | None] = mapped_column(Text)
