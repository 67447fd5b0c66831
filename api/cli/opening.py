"""The town's database opened for a command: cluster up, tables newest, seed data there; committed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from api.migrate import migrate
from api.services import Services, make_services
from dispatch.seeds import load_seeds
from grid.core.errors import Trouble

CALENDAR_YEARS_BACK, CALENDAR_YEARS_AHEAD = 3, 2


def prepare() -> Services:
    """Services with the newest tables and the seed data."""
    services = make_services()
    migrate(services.engine)
    with services.sessions() as session:
        seed(services, session)
        session.commit()
    return services


def seed(services: Services, session: Session) -> None:
    """Fills the tables that are data where they are empty."""
    year = datetime.now(UTC).year
    years = range(year - CALENDAR_YEARS_BACK, year + CALENDAR_YEARS_AHEAD)
    load_seeds(session, services.settings.town.country, years)


@contextmanager
def opened(*, keep: bool = True) -> Iterator[tuple[Services, Session]]:
    """Services and one session, committed when the command ends well; `keep` False rolls back (dry run).

    A command that changed the ground brings the kept territory up to date, after its own work is safe.
    """
    services = prepare()
    with services.sessions() as session:
        # A page may not wait for ever; a command that loads a metropolis may.
        session.execute(text("set statement_timeout = 0"))
        version = _ground_version(session)
        yield services, session
        if keep:
            session.commit()
            if _ground_version(session) != version:
                _keep_territory(session)
        else:
            session.rollback()
    services.engine.dispose()


def _ground_version(session: Session) -> int | None:
    version: int | None = session.scalar(text("select ground_version from town"))
    return version


def _keep_territory(session: Session) -> None:
    # Loaded when it is needed: most commands never change the ground.
    from shapely.errors import GEOSException

    from grid.kept_territory import keep_territory

    try:
        keep_territory(session, datetime.now(UTC))
        session.commit()
    except (Trouble, GEOSException):
        # Not divided yet, or a boundary without use: `gridward check` says it, and readers work it out.
        session.rollback()
