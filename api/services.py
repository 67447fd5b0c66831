"""What one server process holds: settings, the database door and the desk; made once at start."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from dispatch.desk import Desk
from dispatch.evidence_store import EvidenceStore, store_of
from dispatch.suggest_kept import SuggestionBook
from grid.core.cluster import Cluster
from grid.core.database import make_engine, make_sessions
from grid.core.settings import Settings
from grid.kept_ground import keep_ground
from grid.locate import locate


@dataclass(frozen=True)
class Services:
    """Handed to every route through `request.app.state.services`."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    desk: Desk
    suggestions: SuggestionBook = field(default_factory=SuggestionBook)

    @cached_property
    def evidence(self) -> EvidenceStore:
        """Where the files of evidence lie."""
        return store_of(self.settings.store, self.settings.database.home_folder)

    def warm(self) -> None:
        """Reads the ground, keeps it and finds one point, so that the first request finds everything ready."""
        keep_ground(self.engine)
        with self.sessions() as session:
            ground, _ = self.desk.read(session)
            if ground is not None:
                locate(session, 0.0, 0.0, datetime.now(UTC), neighbour_m=0.0)


def make_services(settings: Settings | None = None) -> Services:
    """Opens the database in use; the private cluster is started when there is no URL of another."""
    chosen = settings or Settings()
    if chosen.database.database_url is None:
        Cluster(chosen.database).start()
    engine = make_engine(chosen.database)
    return Services(chosen, engine, make_sessions(engine), Desk(chosen.town))
