"""Brings the database to the newest tables; several processes may ask at once, one does it."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from maps.views import make_views, views_current

MIGRATIONS = Path(__file__).parent / "migrations"
# Any number does, as long as every Gridward process uses the same one.
MIGRATION_LOCK = 7_305_114


def configuration() -> Config:
    """Alembic's configuration without a file: the folder is ours, the connection is handed in."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def migrate(engine: Engine, revision: str = "head") -> None:
    """Upgrades to `revision` in one transaction under an advisory lock; the layers' views are made anew when needed."""
    config = configuration()
    with engine.begin() as connection:
        connection.execute(text("set local statement_timeout = 0"))
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        config.attributes["connection"] = connection
        if revision == "head" and _newest(connection, config) and views_current(connection):
            # Views in use are left in peace: dropping one waits for everybody who reads it.
            return
        command.upgrade(config, revision)
        if _newest(connection, config):
            make_views(connection)


def _newest(connection: Connection, config: Config) -> bool:
    present = MigrationContext.configure(connection).get_current_revision()
    return present == ScriptDirectory.from_config(config).get_current_head()
