"""What phones send counts once: the same client id again finds that it was done."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch.field_models import SentOnce

KEPT = timedelta(days=90)


def first_time(session: Session, sender: str, client_id: str | None, now: datetime) -> bool:
    """Whether this is new; the same id of the same sender at the same time waits for the first to end.

    Without a client id everything is new. The row goes with the transaction: what failed may come again.
    """
    if not client_id:
        return True
    made = session.scalar(
        insert(SentOnce)
        .values(sender=sender, client_id=client_id, at=now)
        .on_conflict_do_nothing()
        .returning(SentOnce.client_id)
    )
    return made is not None


def forget_sent(session: Session, now: datetime) -> None:
    """Ids are kept for as long as a phone may lie in a drawer with something unsent."""
    session.execute(text("delete from sent_once where at < :before"), {"before": now - KEPT})
