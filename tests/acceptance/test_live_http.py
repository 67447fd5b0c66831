"""The live feed over a real line: a new stream goes on where another broke, a limit that runs out is told as such, and no
stream outlives the right to read it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api import live_readers
from api.cli.demonstration import SAMPLE_PASSWORD
from api.services import Services
from dispatch.chasing import sweep
from tests.acceptance.site import Spot, category_of, report_at, spot_of
from tests.web import Office, office, server_thread

OFTEN_S = 0.3


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(town_services: Services) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(live_readers, "CHECK_SECONDS", OFTEN_S)
        with server_thread(town_services) as opened:
            yield opened


@pytest.fixture(scope="module")
def spot(town_services: Services) -> Spot:
    return spot_of(town_services)


@pytest.fixture(scope="module")
def cleaning(town_services: Services) -> str:
    return category_of(town_services, "cleaner")


@contextmanager
def stream(address: str, token: str, query: str = "") -> Iterator[Iterator[dict[str, Any]]]:
    """Messages of a stream, each with `event` and `id`, until the server ends it."""
    headers = {"Authorization": f"Bearer {token}"}
    with (
        httpx.Client(timeout=30) as client,
        client.stream("GET", f"{address}/api/v1/live{query}", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        yield messages(answer)


def messages(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
            continue
        if "event" in fields:
            yield {**json.loads(fields["data"]), "event": fields["event"], "id": int(fields["id"])}
        fields = {}


def test_a_new_stream_goes_on_by_the_parameter_as_by_the_header(
    desk: Office, address: str, town_services: Services, spot: Spot, cleaning: str
) -> None:
    token = desk.token("dispatcher")
    with stream(address, token) as said:
        hello = next(said)
    assert hello["event"] == "hello"
    numbers = [report_at(town_services, spot, f"断线之间{n}", cleaning) for n in range(2)]
    with stream(address, token, f"?last_event_id={hello['id']}") as said:
        heard = {next(said)["number"] for _ in numbers}
        while not heard >= set(numbers):
            heard.add(next(said)["number"])


def test_a_limit_that_runs_out_is_told_as_overdue_in_whatever_queue_it_waits(
    desk: Office, address: str, town_services: Services, spot: Spot, cleaning: str
) -> None:
    untouched = report_at(town_services, spot, "没人动过就超期", cleaning)
    returned = report_at(town_services, spot, "退回后超期", cleaning)
    with stream(address, desk.token("dispatcher")) as said:
        next(said)
        past = datetime.now(UTC) - timedelta(minutes=1)
        with town_services.sessions() as session:
            session.execute(
                text(
                    "with i as (select id, due_at from incident where number = any(:n)), p as ("
                    " update chase_plan c set at = :past, ats = array_replace(c.ats, i.due_at, :past)"
                    " from i where c.incident_id = i.id)"
                    " update incident o set due_at = :past,"
                    " queue = case when number = :returned then 'task_returned' else queue end"
                    " from i where o.id = i.id"
                ),
                {"n": [untouched, returned], "returned": returned, "past": past},
            )
            while sweep(session, town_services.desk, datetime.now(UTC)).more:
                pass
            session.commit()
        # What comes after both: their own arrival may still be told first.
        after = report_at(town_services, spot, "之后来的", cleaning)
        told: dict[str, dict[str, Any]] = {}
        for event in said:
            told[event["number"]] = event
            if event["number"] == after:
                break
    assert told[untouched]["turned_overdue"]
    assert told[returned]["turned_overdue"]
    assert told[untouched]["version"] == 1


@pytest.mark.parametrize("how", ["disabled", "signed out", "another role"])
def test_a_stream_ends_with_the_right_to_read_it(
    desk: Office, address: str, town_services: Services, how: str
) -> None:
    change = {
        "disabled": "update account set disabled_at = now() where username = 'operator'",
        "signed out": "delete from access_key where account_id = (select id from account where username = 'operator')",
        "another role": "update account set role = 'cleaner' where username = 'operator'",
    }
    form = {"username": "operator", "password": SAMPLE_PASSWORD}
    token = httpx.post(f"{address}/api/v1/token", data=form).json()["access_token"]
    try:
        with stream(address, token) as said:
            assert next(said)["event"] == "hello"
            changed(town_services, change[how])
            assert [event for event in said if event["event"] != "incident"] == []
    finally:
        changed(
            town_services,
            "update account set disabled_at = null, role = 'operator' where username = 'operator'",
        )


def test_a_stream_tells_what_its_reader_may_see_now(
    desk: Office, address: str, town_services: Services, spot: Spot, cleaning: str
) -> None:
    """A leader whose grid and people go to another hears no more of theirs, without signing in again."""
    with stream(address, desk.token("leader")) as said:
        next(said)
        theirs = report_at(town_services, spot, "归这位领导的", cleaning)
        while next(said)["number"] != theirs:
            pass
        mine = "(select staff_id from account where username = 'leader')"
        changed(town_services, f"update staff set reports_to = null where reports_to = {mine}")
        changed(
            town_services, f"delete from post_holding where post = 'leader' and staff_id = {mine}"
        )
        time.sleep(4 * OFTEN_S)
        others = report_at(town_services, spot, "归了别人的", cleaning)
        time.sleep(4 * OFTEN_S)
        changed(town_services, "update account set disabled_at = now() where username = 'leader'")
        assert others not in {event.get("number") for event in said}


def changed(services: Services, statement: str) -> None:
    with services.sessions() as session:
        session.execute(text(statement))
        session.commit()
