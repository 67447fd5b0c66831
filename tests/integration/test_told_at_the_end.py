"""What whoever reported a merged incident hears when its lead ends, however it ends; and by whose rules likeness is flagged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch import notice_reading
from dispatch.desk import Desk
from dispatch.duplicates import rules_of
from dispatch.intake import take_in
from dispatch.likeness import LikenessRules
from dispatch.notice_queue import Batch
from dispatch.notices import spread
from dispatch.reading import one_incident
from dispatch.reports import Report
from dispatch.steps import Actor, Asked, make_move
from grid.core.settings import NoticeSettings, TownSettings
from tests.ground import MORNING
from tests.integration.test_chasing import on_ground

GATEWAY = NoticeSettings(sms_url="json://localhost")
OVERFLOW = "06042"
PHOTO = text(
    "insert into evidence (incident_id, stage, sha256, media_type, size_bytes, actor, received_at)"
    " values (:id, :stage, 'x', 'image/jpeg', 1, 'x', :at)"
)


class Story:
    """A lead that a resident reported, and another resident's report merged into it, moved minute by minute."""

    def __init__(self, session: Session, desk: Desk, **lead: Any) -> None:
        self.session, self.desk, self.now = session, desk, MORNING
        _, self.point = on_ground(session)
        self.lead = self.report("13800000001", **lead)
        self.part = self.report("13800000002", description="同一处")
        self.go("operator", "merge", self.part, to=self.lead)
        self.heard()

    def report(self, phone: str, **more: Any) -> str:
        values = {"channel": "citizen", "description": "垃圾满了", "category": OVERFLOW} | more
        given = Report(**values, point=self.point, reporter_phone=phone, tell_by="sms")
        return take_in(self.session, self.desk, given, "public", self.now).number

    def go(self, role: str, move: str, number: str = "", **more: Any) -> None:
        number = number or self.lead
        self.now += timedelta(minutes=1)
        row = one_incident(self.session, number)
        holder = next((t["assignee_id"] for t in row["tasks"] if t["lead"]), None)
        actor = Actor(f"account:{role}", role, holder if role == "cleaner" else None)
        asked = Asked(move, note="说明", **more)
        make_move(self.session, self.desk, number, asked, actor, self.now)

    def photograph(self, *stages: str) -> None:
        known = one_incident(self.session, self.lead)["id"]
        for stage in stages:
            self.session.execute(PHOTO, {"id": known, "stage": stage, "at": self.now})

    def heard(self) -> list[tuple[str, str]]:
        """What was newly left to be sent: kind, and the number that the message names."""
        last = self.session.scalar(text("select coalesce(max(id), 0) from delivery"))
        while spread(self.session, GATEWAY, LikenessRules(), self.now).more:
            pass
        rows = self.session.execute(
            text("select d.id, d.target, d.lane from delivery d where d.id > :last order by d.id"),
            {"last": last},
        ).all()
        found = []
        for row in rows:
            sent = notice_reading.to_send(self.session, Batch((row.id,), row.target, row.lane))
            found += [(notice.kind, notice.number) for notice in sent.notices]
        return sorted(found)


def refused(story: Story) -> None:
    story.go("operator", "refuse")


def declined(story: Story) -> None:
    story.go("operator", "accept")
    story.heard()
    story.go("watch_chief", "decline")


def voided(story: Story) -> None:
    story.go("operator", "accept")
    story.go("cleaner", "return_task")
    story.go("dispatcher", "send_back")
    story.go("watch_chief", "file")
    story.heard()
    story.go("watch_chief", "void")


def worked(story: Story) -> None:
    story.go("operator", "accept")
    story.photograph("after")
    story.go("cleaner", "finish_task")
    story.go("collector", "check_passed")
    story.heard()


def closed(story: Story) -> None:
    worked(story)
    story.go("watch_chief", "close", condition="06042-1")


def forced(story: Story) -> None:
    worked(story)
    story.go("leader", "force_close")


@pytest.fixture
def session(town_services: Services) -> Iterator[Session]:
    with town_services.sessions() as opened:
        opened.execute(text("update live_event set spread_at = now() where spread_at is null"))
        opened.execute(text("update notice set spread_at = now() where spread_at is null"))
        opened.execute(text("delete from contact_channel"))
        yield opened
        opened.rollback()


@pytest.mark.parametrize(
    ("end", "kind", "lead"),
    [
        (refused, "refused", {}),
        (declined, "refused", {"category": None}),
        (voided, "refused", {}),
        (closed, "finished", {}),
        (forced, "finished", {}),
    ],
)
def test_reporters_of_the_merged_hear_of_every_end(
    session: Session,
    town_services: Services,
    end: Callable[[Story], None],
    kind: str,
    lead: dict[str, Any],
) -> None:
    story = Story(session, town_services.desk, **lead)
    end(story)
    # Each by the number that they were given.
    assert story.heard() == sorted([(kind, story.lead), (kind, story.part)])


def test_reporters_of_the_merged_hear_when_it_was_fixed_on_the_spot(
    session: Session, town_services: Services
) -> None:
    cleaner, _ = on_ground(session)
    story = Story(session, town_services.desk, channel="patrol", fixed_by=f"staff:{cleaner}")
    story.photograph("before", "after")
    story.now += timedelta(minutes=1)
    actor = Actor("account:cleaner", "cleaner", cleaner)
    make_move(session, story.desk, story.lead, Asked("found_and_fixed"), actor, story.now)
    assert story.heard() == sorted([("finished", story.lead), ("finished", story.part)])


def test_what_is_said_on_the_way_goes_to_the_leads_own_reporter(
    session: Session, town_services: Services
) -> None:
    story = Story(session, town_services.desk)
    story.go("operator", "accept")
    assert story.heard() == [("taken_on", story.lead)]
    story.go("dispatcher", "ask_reporter")
    assert story.heard() == [("question", story.lead)]


def flagged(session: Session, desk: Desk, settings: TownSettings, at: datetime) -> list[str]:
    """Two grates 40 m apart reported an hour apart, flagged by the worker under a bureau's rules."""
    _, point = on_ground(session, "maintainer")
    away = replace(point, lat=point.lat + 40 / 110_900)
    for where, moment in ((point, at), (away, at + timedelta(hours=1))):
        report = Report("patrol", "雨水箅子破损", "01004", point=where)
        number = take_in(session, desk, report, "account:test", moment).number
    while spread(session, GATEWAY, rules_of(settings), at + timedelta(hours=2)).more:
        pass
    return list(one_incident(session, number)["flags"])


def test_the_worker_flags_by_the_bureaus_own_rules(
    session: Session, town_services: Services
) -> None:
    desk, usual = town_services.desk, TownSettings()
    assert "likely_duplicate" in flagged(session, desk, usual, MORNING)
    far = usual.model_copy(update={"alike_sure_m": 5.0, "alike_reach_m": 30.0})
    assert "likely_duplicate" not in flagged(session, desk, far, MORNING + timedelta(days=30))
    soon = usual.model_copy(update={"alike_window_hours": 0.5})
    assert "likely_duplicate" not in flagged(session, desk, soon, MORNING + timedelta(days=60))
    sure = usual.model_copy(update={"alike_flagged_from": 0.99})
    assert "likely_duplicate" not in flagged(session, desk, sure, MORNING + timedelta(days=90))
