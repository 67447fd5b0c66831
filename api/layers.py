"""What must be done before a layer can be read: the territory is kept with the ground it belongs to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from grid.kept_territory import keep_if_free, keep_territory, standing
from grid.tile_lines import keep_tile_lines


def keep_territory_now(engine: Engine, now: datetime) -> None:
    """Works the territory out anew where the ground has changed. Raises as `keep_territory`."""
    with Session(engine) as session:
        if standing(session, now).current:
            return
        session.execute(text("set local statement_timeout = 0"))
        keep_territory(session, now)
        session.commit()


def keep_territory_if_free(engine: Engine, now: datetime) -> None:
    """The same for whoever asks often: the ground's version is believed, and nobody waits for a writer at work."""
    with Session(engine) as session:
        session.execute(text("set local statement_timeout = 0"))
        keep_if_free(session, now)
        session.commit()


def keep_tile_lines_now(engine: Engine, now: datetime) -> None:
    """Draws the lines of map tiles anew where streets or grids have changed."""
    with Session(engine) as session:
        session.execute(text("set local statement_timeout = 0"))
        keep_tile_lines(session, now)
        session.commit()
