"""What must be done before a layer can be read: the territory is kept with the ground it belongs to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from grid.kept_territory import keep_territory, standing


def keep_territory_now(engine: Engine, now: datetime) -> None:
    """Works the territory out anew where the ground has changed. Raises as `keep_territory`."""
    with Session(engine) as session:
        if standing(session, now).current:
            return
        session.execute(text("set local statement_timeout = 0"))
        keep_territory(session, now)
        session.commit()
