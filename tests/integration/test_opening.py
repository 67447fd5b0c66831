"""A command may take its time: the limit on one statement is for pages."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from api.cli.opening import opened
from tests.databases import TestCluster


def test_a_commands_statements_have_no_limit(
    cluster: TestCluster, empty_template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cluster.database(empty_template) as url:
        monkeypatch.setenv("GRIDWARD_DATABASE_URL", url)
        monkeypatch.setenv("GRIDWARD_HOME", str(cluster.home))
        with opened(keep=False) as (services, session):
            assert services.settings.database.statement_timeout_ms > 0
            assert session.scalar(text("show statement_timeout")) == "0"
