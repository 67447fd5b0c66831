"""Many requests at once on few connections: all are answered, none waits for what another holds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from api.cli.demonstration import SAMPLE_PASSWORD
from api.services import Services, make_services
from grid.core.settings import Settings
from tests.web import server_thread

REPORT = {"channel": "hotline_12345", "category": "06042", "description": "永胜路12号垃圾满溢"}
AT_ONCE, EACH = 80, 2


@pytest.fixture(scope="module")
def few(town_services: Services) -> Iterator[Services]:
    """Services with two connections, and two more at most."""
    settings = town_services.settings
    small = settings.database.model_copy(update={"pool_size": 2})
    services = make_services(Settings(small, settings.town, settings.web))
    yield services
    services.engine.dispose()


def test_more_requests_than_threads_and_connections_are_all_answered(few: Services) -> None:
    """Two applications on one engine, a live stream of a crew member at each, more requests than threads."""
    results: Counter[int | str] = Counter()
    with ExitStack() as open_things:
        addresses = [open_things.enter_context(server_thread(few)) for _ in range(2)]

        def token(role: str) -> dict[str, str]:
            form = {"username": role, "password": SAMPLE_PASSWORD}
            answer = httpx.post(f"{addresses[0]}/api/v1/token", data=form, timeout=60)
            return {"Authorization": f"Bearer {answer.json()['access_token']}"}

        operator, cleaner = token("operator"), token("cleaner")
        for address in addresses:
            client = open_things.enter_context(httpx.Client(timeout=60, headers=cleaner))
            open_things.enter_context(client.stream("GET", f"{address}/api/v1/live"))

        def press(who: int) -> None:
            with httpx.Client(base_url=addresses[who % 2], headers=operator, timeout=100) as client:
                for step in range(EACH):
                    try:
                        if (who + step) % 2:
                            answer = client.get("/api/v1/incidents?page_size=5")
                        else:
                            answer = client.post("/api/v1/incidents", json=REPORT)
                        results[answer.status_code] += 1
                    except httpx.HTTPError as error:
                        results[repr(error)] += 1

        threads = [threading.Thread(target=press, args=(who,)) for who in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(150)
    assert results == Counter({200: AT_ONCE * EACH // 2, 201: AT_ONCE * EACH // 2})
