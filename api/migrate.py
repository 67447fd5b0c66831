"""Brings the database to the newest tables; several processes may ask at once, one does it."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

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
    """Upgrades to `revision` in one transaction under an advisory lock."""
    config = configuration()
    with engine.begin() as connection:
        connection.execute(text("set local statement_timeout = 0"))
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
