"""What every ring of tests shares: where the real data is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from api.cli.demonstration import load_demo
from api.cli.opening import seed
from api.migrate import migrate
from api.services import Services, make_services
from fixtures.town import make_town
from tests.commands import Commands
from tests.databases import TestCluster

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real streets, addresses and incidents; absent data fails the test, never skips it."""
    folder = Path(os.environ.get("GRIDWARD_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "us-cambridge").is_dir():
        pytest.fail(
            f"Real test data not found in {folder}. Set GRIDWARD_TEST_DATA to the folder that "
            "holds us-cambridge, china, taiwan, us-boston and europe.",
            pytrace=False,
        )
    return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[TestCluster]:
    """The run's own PostGIS; its folder can be reached by the server's account."""
    home = Path(tempfile.mkdtemp(prefix="gridward-test-"))
    home.chmod(0o755)
    made = TestCluster(home)
    yield made
    made.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def empty_template(cluster: TestCluster) -> str:
    """A database with our migrations and seed data, no town; to be copied."""
    name = cluster.create()
    services = make_services(cluster.settings(cluster.url(name)))
    migrate(services.engine)
    with services.sessions() as session:
        seed(services, session)
        session.commit()
    services.engine.dispose()
    return name


@pytest.fixture(scope="session")
def town_template(cluster: TestCluster, empty_template: str) -> str:
    """The invented town with its people and a few incidents; to be copied."""
    name = cluster.create(empty_template)
    services = make_services(cluster.settings(cluster.url(name)))
    with services.sessions() as session:
        load_demo(
            services, session, make_town(incident_count=40), lambda *_words: None, datetime.now(UTC)
        )
        session.commit()
    services.engine.dispose()
    return name


@pytest.fixture(scope="module")
def empty_services(cluster: TestCluster, empty_template: str) -> Iterator[Services]:
    """Services on a migrated database without a town, for one module."""
    with cluster.database(empty_template) as url:
        services = make_services(cluster.settings(url))
        yield services
        services.engine.dispose()


@pytest.fixture(scope="module")
def town_services(cluster: TestCluster, town_template: str) -> Iterator[Services]:
    """Services on a copy of the invented town, for one module."""
    with cluster.database(town_template) as url:
        services = make_services(cluster.settings(url))
        yield services
        services.engine.dispose()


@pytest.fixture(scope="module")
def town_url(cluster: TestCluster, town_template: str) -> Iterator[str]:
    """The URL of a copy of the invented town, for one module."""
    with cluster.database(town_template) as url:
        yield url


@pytest.fixture(scope="module")
def town_commands(town_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """`gridward` on the town of `town_url`, with a home of its own."""
    home = str(tmp_path_factory.mktemp("home"))
    commands = Commands({"GRIDWARD_HOME": home, "GRIDWARD_DATABASE_URL": town_url})
    yield commands
    commands.close()


@pytest.fixture
def session(town_services: Services) -> Iterator[Session]:
    """A session on the invented town, rolled back after the test."""
    with town_services.sessions() as opened:
        yield opened
        opened.rollback()
