"""The worker on a real PostGIS with fake partners: what is left arrives once, or is listed."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from api.worker import work
from dispatch import contacts, notice_queue, webhooks
from dispatch.contacts import Contact
from dispatch.doors import parse_networks
from dispatch.incidents import add_notice
from dispatch.intake import take_in
from dispatch.likeness import LikenessRules
from dispatch.notices import spread
from dispatch.reports import Report
from dispatch.steps import Actor, Asked, make_move
from grid.core.settings import NoticeSettings, Settings
from tests.partners import Partner, partners, wait_until

LOOPBACK = "127.0.0.0/8"
SENTENCE = "永胜路与站前路交叉口东北角垃圾满溢"


@pytest.fixture
def services(town_services: Services) -> Iterator[Services]:
    """The invented town without contacts, with quick tries and no quiet hours."""
    yield with_notices(town_services)
    with town_services.sessions() as session:
        for table in ("delivery", "push_subscription", "contact_channel", "webhook", "notice_wish"):
            session.execute(text(f"delete from {table}"))
        session.execute(text("update notice set spread_at = now() where spread_at is null"))
        session.execute(text("update live_event set spread_at = now() where spread_at is null"))
        session.commit()


def with_notices(services: Services, **changes: Any) -> Services:
    values: dict[str, Any] = {
        "quiet_hours": "",
        "retry_seconds": "0.2,0.2",
        "send_seconds": 1.0,
        "digest_seconds": 0.0,
        "private_networks": LOOPBACK,
        **changes,
    }
    old = services.settings
    return replace(
        services, settings=Settings(old.database, old.town, old.web, NoticeSettings(**values))
    )


@contextmanager
def at_work(services: Services, count: int = 1) -> Iterator[None]:
    """Workers in threads, without the clock's jobs."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=work, args=(services, stop, ()), daemon=True) for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(120)


def report(services: Services, **more: Any) -> tuple[str, int | None]:
    """A report taken in; returns its number and the person it went to."""
    with services.sessions() as session:
        values: dict[str, Any] = {
            "channel": "hotline_12345",
            "description": SENTENCE,
            "category": "06042",
            **more,
        }
        taken = take_in(session, services.desk, Report(**values), "account:operator", now())
        person = session.scalar(
            text("select assignee_id from task where incident_id = :id"), {"id": taken.incident_id}
        )
        session.commit()
    return taken.number, person


def somebody(services: Services) -> int:
    """The person who answers for such reports; the notice of finding that out is not sent."""
    _, person = report(services)
    assert person is not None
    with services.sessions() as session:
        session.execute(text("update notice set spread_at = now()"))
        session.execute(text("update live_event set spread_at = now()"))
        session.commit()
    return person


def now() -> datetime:
    return datetime.now(UTC)


def add_contact(services: Services, partner: Partner, **owner: Any) -> None:
    with services.sessions() as session:
        contact = Contact(kind="webhook", url=partner.url, **owner)
        contacts.add_contact(session, contact, services.settings.notices, now())
        session.commit()


def states(services: Services) -> dict[str, list[tuple[str, int, str | None]]]:
    """State, tries and trouble of every delivery, by its lane's port."""
    with services.sessions() as session:
        rows = session.execute(
            text("select lane, state, attempts, last_error from delivery order by id")
        ).all()
    found: dict[str, list[tuple[str, int, str | None]]] = {}
    for lane, state, attempts, error in rows:
        found.setdefault(lane.rpartition(":")[2], []).append((state, attempts, error))
    return found


def settled(services: Services) -> Callable[[], bool]:
    def nothing_left() -> bool:
        with services.sessions() as session:
            left = session.scalar(
                text(
                    "select (select count(*) from notice where spread_at is null)"
                    " + (select count(*) from live_event where spread_at is null"
                    "    and last_seq is not null)"
                    " + (select count(*) from delivery where state in ('waiting', 'sending'))"
                )
            )
        return not left

    return nothing_left


def test_each_partner_gets_it_once_or_it_is_listed(services: Services) -> None:
    person = somebody(services)
    kinds: dict[str, dict[str, Any]] = {
        "ok": {},
        "slow": {"slow_s": 0.6},
        "flaky": {"fail_first": 1},
        "hung": {"hangs": True},
        "down": {"status": 503},
    }
    with partners(**kinds) as made:
        for partner in made.values():
            add_contact(services, partner, staff_id=person)
        with at_work(services, 2):
            number, again = report(services)
            assert again == person
            # The one that hangs holds nobody up.
            wait_until(lambda: made["ok"].requests and made["slow"].requests, 5)
            wait_until(settled(services))
        found = states(services)
        assert {name: found[str(partner.port)] for name, partner in made.items()} == {
            "ok": [("sent", 1, None)],
            "slow": [("sent", 1, None)],
            "flaky": [("sent", 2, None)],
            "hung": [("uncertain", 1, "no_answer")],
            "down": [("given_up", 3, "http_503")],
        }
        tries = {name: len(partner.requests) for name, partner in made.items()}
        assert tries == {"ok": 1, "slow": 1, "flaky": 2, "hung": 1, "down": 3}
        message = made["ok"].bodies()[0]
        assert number in message["title"]
        assert "垃圾站（箱）满溢" in message["message"]
    with services.sessions() as session:
        listed = notice_queue.list_deliveries(session, notice_queue.LISTED, None, 10, None)
        assert {row["state"] for row in listed} == {"uncertain", "given_up"}
        assert {row["number"] for row in listed} == {number}


def browser_of(services: Services, staff_id: int, partner: Partner) -> tuple[Any, bytes]:
    """A phone of somebody's that asked for pushes; what is needed to read them."""
    key, secret = ec.generate_private_key(ec.SECP256R1()), os.urandom(16)
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    p256dh, auth = (base64.urlsafe_b64encode(raw).rstrip(b"=").decode() for raw in (point, secret))
    with services.sessions() as session:
        browser = contacts.Browser(partner.http, p256dh, auth)
        contacts.subscribe(session, staff_id, browser, parse_networks(LOOPBACK), now())
        session.commit()
    return key, secret


def test_a_task_that_is_given_is_pushed_to_the_phone_of_whoever_got_it(services: Services) -> None:
    person = somebody(services)
    with services.sessions() as session:
        colleague = session.scalar(
            text("select max(id) from staff where id <> :id"), {"id": person}
        )
    with partners(mine={"status": 201}, theirs={"status": 201}) as made:
        key, secret = browser_of(services, person, made["mine"])
        browser_of(services, colleague, made["theirs"])
        number, given_to = report(services)
        assert given_to == person
        with at_work(services):
            wait_until(settled(services))
        assert len(made["mine"].requests) == 1
        assert made["theirs"].requests == [], "nobody else's phone hears of it"
        _, body = made["mine"].requests[0]
    read = http_ece.decrypt(body, private_key=key, auth_secret=secret, version="aes128gcm")
    shown = json.loads(read)
    assert number in shown["title"] + shown["body"]
    assert shown["url"] == "/field"


def test_without_a_setting_notices_stay_in_the_app(services: Services) -> None:
    report(services, reporter_phone="13812345678", tell_by="sms")
    with at_work(services):
        wait_until(settled(services))
    assert states(services) == {}


def test_a_person_sends_again_what_was_given_up(services: Services) -> None:
    person = somebody(services)
    with partners(there={"fail_first": 3}) as made:
        add_contact(services, made["there"], staff_id=person)
        with at_work(services):
            report(services)
            wait_until(lambda: notice_states(services) == ["given_up"])
            with services.sessions() as session:
                row = notice_queue.list_deliveries(session, ["given_up"], None, 10, None)[0]
                notice_queue.send_again(session, row["id"], now())
                session.commit()
            wait_until(lambda: notice_states(services) == ["sent"])
        assert len(made["there"].requests) == 4


def notice_states(services: Services) -> list[str]:
    return [state for rows in states(services).values() for state, _, _ in rows]


def leave(services: Services, session: Session, person: int, count: int, **detail: Any) -> None:
    incident = session.scalar(text("select max(id) from incident"))
    for _ in range(count):
        add_notice(
            session, int(incident), person, "task_offered", {"post": "cleaner", **detail}, now()
        )
    session.flush()


def claimed(services: Services, session: Session, at: datetime) -> list[int]:
    """How many deliveries each claimed message holds."""
    settings, zone = services.settings.notices, services.settings.town.zone
    spread(session, settings, LikenessRules(), at)
    return [len(b.ids) for b in notice_queue.claim(session, 1, {}, 32, settings, zone, at)]


NIGHT = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)  # 23:30 in Shanghai
MORNING = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)  # 07:00


def test_quiet_hours_gather_and_emergencies_break_through(services: Services) -> None:
    quiet = with_notices(services, quiet_hours="22:00-07:00")
    person = somebody(services)
    with partners(there={}) as made, services.sessions() as session:
        contact = Contact(kind="webhook", url=made["there"].url, staff_id=person)
        contacts.add_contact(session, contact, quiet.settings.notices, now())
        leave(quiet, session, person, 3)
        assert claimed(quiet, session, NIGHT) == []
        waits = session.scalars(text("select distinct next_at from delivery")).all()
        assert waits == [MORNING]
        assert claimed(quiet, session, MORNING - timedelta(seconds=1)) == []
        assert claimed(quiet, session, MORNING) == [3]
        leave(quiet, session, person, 1, urgent=True)
        assert claimed(quiet, session, NIGHT) == [1]
        # Who wants to be told at night says so.
        contacts.save_wish(session, person, None, "")
        leave(quiet, session, person, 2)
        assert claimed(quiet, session, NIGHT) == [2]
        session.rollback()


def test_several_within_a_minute_become_one_message(services: Services) -> None:
    gathering = with_notices(services, digest_seconds=60)
    person = somebody(services)
    at = now()
    with partners(there={}) as made, services.sessions() as session:
        contact = Contact(kind="webhook", url=made["there"].url, staff_id=person)
        contacts.add_contact(session, contact, gathering.settings.notices, now())
        leave(gathering, session, person, 1)
        # The first goes at once …
        assert claimed(gathering, session, at) == [1]
        session.execute(text("update delivery set state = 'sent', sent_at = :at"), {"at": at})
        leave(gathering, session, person, 2)
        assert claimed(gathering, session, at + timedelta(seconds=30)) == []
        leave(gathering, session, person, 1)
        assert claimed(gathering, session, at + timedelta(seconds=59)) == []
        # … and what follows within a minute comes together.
        assert claimed(gathering, session, at + timedelta(seconds=60)) == [3]
        session.rollback()


def test_units_roles_and_kinds(services: Services) -> None:
    person = somebody(services)
    kinds: dict[str, dict[str, Any]] = {"group": {}, "desk": {}, "other": {}}
    with partners(**kinds) as made, services.sessions() as session:
        unit = session.scalar(text("select unit_id from staff where id = :id"), {"id": person})
        for partner, owner in (
            (made["group"], {"unit_id": unit, "kinds": ("task_offered",)}),
            (made["desk"], {"role": "dispatcher"}),
            (made["other"], {"unit_id": unit, "kinds": ("overdue",)}),
        ):
            contact = Contact(kind="webhook", url=partner.url, **owner)  # type: ignore[arg-type]
            contacts.add_contact(session, contact, services.settings.notices, now())
        incident = int(session.scalar(text("select max(id) from incident")) or 0)
        add_notice(session, incident, person, "task_offered", {}, now())
        add_notice(session, incident, None, "returned", {}, now(), audience="role:dispatcher")
        spread(session, services.settings.notices, LikenessRules(), now())
        spread(session, services.settings.notices, LikenessRules(), now())
        lanes = session.execute(
            text("select d.lane, n.kind from delivery d join notice n on n.id = d.notice_id")
        ).all()
        assert sorted(map(tuple, lanes)) == sorted(
            [
                (f"json:127.0.0.1:{made['group'].port}", "task_offered"),
                (f"json:127.0.0.1:{made['desk'].port}", "returned"),
            ]
        )
        session.rollback()


def test_a_resident_is_told_by_the_chosen_way_in_the_chosen_language(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    with partners(gateway={"fail_first": 1}) as made:
        told = with_notices(
            services,
            sms_url=made["gateway"].url + "?:to={phone}",
            public_url="https://town.example",
        )
        number, _ = report(
            told,
            channel="citizen",
            reporter_phone="13812345678",
            tell_by="sms",
            language="en",
        )
        with at_work(told):
            wait_until(settled(told))
            assert made["gateway"].requests == []
            operator = Actor("account:operator", "operator", None)
            with told.sessions() as session:
                make_move(session, told.desk, number, Asked("accept"), operator, now())
                session.commit()
            wait_until(lambda: notice_states(told) == ["sent"])
        first = made["gateway"].bodies()[-1]
        assert first["to"] == "13812345678"
        assert first["title"] == "Taken on"
        assert f"https://town.example/track/{number}" in first["message"]
        assert "{" not in first["message"]
        with told.sessions() as session:
            rows = session.execute(text("select d::text from delivery d")).scalars().all()
            notice = session.execute(text("select n::text from notice n order by id desc limit 1"))
            assert "13812345678" not in "".join([*rows, *notice.scalars()])
    # pytest listens to Apprise's own logger too, whose words go nowhere else (tests/unit/test_senders.py).
    own = [record for record in caplog.records if not record.name.startswith("apprise")]
    assert not [record for record in own if "13812345678" in record.getMessage()]


def test_other_systems_are_told_of_every_step(services: Services) -> None:
    with partners(all={}, ends={}) as made:
        with services.sessions() as session:
            open_networks = parse_networks(LOOPBACK)
            for name, kinds in (("all", []), ("ends", ["incident.ended"])):
                webhooks.add_webhook(session, name, made[name].http, kinds, open_networks, now())
            session.commit()
        with at_work(services):
            number, _ = report(services, channel="citizen")
            wait_until(lambda: len(made["all"].requests) == 1)
            operator = Actor("account:operator", "operator", None)
            with services.sessions() as session:
                asked = Asked("refuse", note="电话 13812345678")
                make_move(session, services.desk, number, asked, operator, now())
                session.commit()
            wait_until(settled(services))
        bodies = made["all"].bodies()
        assert [body["kinds"] for body in bodies] == [
            ["incident.reported"],
            ["incident.moved", "incident.ended"],
        ]
        assert [body["incident"]["number"] for body in bodies] == [number, number]
        assert bodies[1]["lines"][0]["to_status"] == "refused"
        assert len(made["ends"].requests) == 1
        assert "13812345678" not in made["all"].text() + made["ends"].text()


def test_a_webhook_that_did_not_answer_is_told_again_with_the_same_id(services: Services) -> None:
    with partners(there={"hangs": True}) as made:
        with services.sessions() as session:
            there = made["there"]
            webhooks.add_webhook(session, "x", there.http, [], parse_networks(LOOPBACK), now())
            session.commit()
        with at_work(services):
            report(services)
            wait_until(lambda: notice_states(services) == ["given_up"])
        keys = [headers["idempotency-key"] for headers, _ in made["there"].requests]
        assert len(keys) == 3
        assert len(set(keys)) == 1


def test_a_rolled_back_report_leaves_nothing(services: Services) -> None:
    before = counts(services)
    with services.sessions() as session:
        asked = Report(channel="hotline_12345", description=SENTENCE, category="06042")
        take_in(session, services.desk, asked, "account:operator", now())
        session.rollback()
    assert counts(services) == before


def counts(services: Services) -> tuple[Any, ...]:
    with services.sessions() as session:
        return tuple(
            session.execute(
                text("select (select count(*) from notice), (select count(*) from live_event)")
            ).one()
        )
