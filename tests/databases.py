"""Real PostGIS for tests: one private cluster a run, one database a test module, copied from a template."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from grid.core.cluster import Cluster
from grid.core.settings import DatabaseSettings, Settings, TownSettings, WebSettings


class TestCluster:
    """The run's own cluster in a temporary home; databases in it are made by copying templates."""

    __test__ = False

    def __init__(self, home: Path) -> None:
        self.home = home
        self.cluster = Cluster(DatabaseSettings(home=home, database_url=None))
        self.cluster.start()
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            # Test databases need not survive the machine, only the test.
            connection.execute("alter system set fsync = off")
            connection.execute("select pg_reload_conf()")

    def settings(self, url: str, home: Path | None = None) -> Settings:
        """Settings on one database of this cluster."""
        return Settings(
            DatabaseSettings(home=home or self.home, database_url=url, pool_size=10),
            TownSettings(),
            WebSettings(),
        )

    def url(self, database: str) -> str:
        """The libpq URL of a database."""
        return self.cluster.url().replace("@/gridward?", f"@/{database}?")

    def create(self, template: str = "template0") -> str:
        """Makes a database and returns its name."""
        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'create database "{name}" template "{template}"')
        return name

    def drop(self, name: str) -> None:
        """Takes a database away, whoever is still connected."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'drop database if exists "{name}" with (force)')

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """A database for a while; yields its URL."""
        name = self.create(template)
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def stop(self) -> None:
        """Stops the server."""
        self.cluster.stop()


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """What a database answers, asked past the program."""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()
