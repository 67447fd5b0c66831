"""Workers killed with SIGKILL while they send: every notice is sent or listed, none arrives twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from api.services import Services
from dispatch import contacts, webhooks
from dispatch.contacts import Contact
from dispatch.doors import parse_networks
from dispatch.intake import take_in
from dispatch.reports import Report
from tests.partners import partners, wait_until
from tests.web import GRIDWARD

REPORTS = 30
KILLS = 2
NUMBER = re.compile(r"\d{8}-\d{6}")
SENTENCE = "永胜路与站前路交叉口东北角垃圾满溢"


def start(services: Services, folder: Path) -> subprocess.Popen[bytes]:
    env = {
        **os.environ,
        "GRIDWARD_DATABASE_URL": str(services.settings.database.database_url),
        "GRIDWARD_HOME": str(folder),
        "GRIDWARD_QUIET_HOURS": "",
        "GRIDWARD_DIGEST_SECONDS": "0",
        "GRIDWARD_RETRY_SECONDS": "0.2,0.2,0.2,0.2",
        "GRIDWARD_PRIVATE_NETWORKS": "127.0.0.0/8",
    }
    with (folder / "worker.log").open("ab") as log:
        return subprocess.Popen([str(GRIDWARD), "worker"], env=env, stdout=log, stderr=log)


def test_killed_workers_send_nothing_twice(town_services: Services, tmp_path: Path) -> None:
    services = town_services
    now = datetime.now(UTC)
    with partners(phone={"slow_s": 0.15}, system={"slow_s": 0.05}) as made:
        with services.sessions() as session:
            session.execute(text("update notice set spread_at = now()"))
            session.execute(text("update live_event set spread_at = now()"))
            for n in range(REPORTS):
                asked = Report(
                    channel="hotline_12345",
                    description=SENTENCE,
                    category="06042",
                    idempotency_key=f"k{n}",
                )
                take_in(session, services.desk, asked, "account:operator", now)
            person, unit = session.execute(
                text(
                    "select s.id, s.unit_id from task t join staff s on s.id = t.assignee_id"
                    " order by t.id desc limit 1"
                )
            ).one()
            # Three ways for each notice, so that more is on its way when the worker is killed.
            owners = {"a": {"staff_id": person}, "b": {"role": "cleaner"}, "c": {"unit_id": unit}}
            for name, owner in owners.items():
                url = f"json://127.0.0.1:{made['phone'].port}/{name}"
                contact = Contact(kind="webhook", url=url, **owner)
                contacts.add_contact(session, contact, services.settings.notices, now)
            open_networks = parse_networks("127.0.0.0/8")
            webhooks.add_webhook(session, "other", made["system"].http, [], open_networks, now)
            session.commit()

        def taken_by_phone() -> int:
            return len(made["phone"].requests)

        def left() -> int:
            with services.sessions() as session:
                return int(
                    session.scalar(
                        text(
                            "select (select count(*) from notice where spread_at is null)"
                            " + (select count(*) from delivery where state in ('waiting', 'sending'))"
                        )
                    )
                    or 0
                )

        process = start(services, tmp_path)
        try:
            for _ in range(KILLS):
                before = taken_by_phone() + len(made["system"].requests)
                wait_until(
                    lambda seen=before: (
                        taken_by_phone() + len(made["system"].requests) >= seen + 4 or not left()
                    ),
                    60,
                )
                time.sleep(0.05)
                process.send_signal(signal.SIGKILL)
                process.wait()
                process = start(services, tmp_path)
            wait_until(lambda: left() == 0, 90)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        with services.sessions() as session:
            rows = session.execute(
                text(
                    "select d.id, d.target, d.state, d.last_error, i.number from delivery d"
                    " left join notice n on n.id = d.notice_id"
                    " left join incident i on i.id = n.incident_id order by d.id"
                )
            ).all()
        to_people = [row for row in rows if row.target.startswith("contact:")]
        assert len(to_people) == REPORTS * 3
        assert {row.state for row in to_people} <= {"sent", "uncertain"}
        assert {row.last_error for row in to_people if row.state == "uncertain"} <= {"worker_died"}
        came: Counter[tuple[str, str]] = Counter()
        for (_, body), path in zip(made["phone"].requests, made["phone"].paths, strict=True):
            came.update((path, number) for number in set(NUMBER.findall(body.decode())))
        assert max(came.values()) == 1, "a notice came twice"
        # Every one that counts as sent has come; only uncertain ones may be missing.
        sent = [row for row in to_people if row.state == "sent"]
        assert len(sent) <= len(came) <= len(to_people)
        assert {number for _, number in came} >= {row.number for row in sent}
        to_system = [row for row in rows if row.target.startswith("webhook:")]
        assert [row.state for row in to_system] == ["sent"] * REPORTS
        keys = Counter(headers["idempotency-key"] for headers, _ in made["system"].requests)
        assert len(keys) == REPORTS
