"""A rule of chasing that changes is followed by what is open: the new one tells from then on, nobody is told twice.

Times by hand: filed on a working day at MORNING with four working hours; half of them are used up two hours later.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.chasing import sweep
from dispatch.rule_edits import chase_rules_at_hand, end_chase_rule, set_chase_rule
from dispatch.steps import Asked, make_move
from tests.ground import MORNING
from tests.integration.test_chasing import person, taken, told, town

__all__ = ["town"]
HALF = {"clock": "disposal", "share": 0.5, "tell": "dispatcher"}


@pytest.mark.parametrize("ended", [False, True], ids=["changed", "ended"])
def test_open_incidents_follow_a_changed_rule(
    town_services: Services, town: Session, ended: bool
) -> None:
    desk = town_services.desk
    row = taken(town_services, town)
    worker = person(row)
    make_move(town, desk, row["number"], Asked("accept_task"), worker, MORNING)
    sweep(town, desk, MORNING)
    changed_at = MORNING + timedelta(minutes=60)
    if ended:
        end_chase_rule(town, "disposal_warning", None, changed_at, "account:admin", changed_at)
        assert "disposal_warning" not in {r["code"] for r in chase_rules_at_hand(town, changed_at)}
    else:
        set_chase_rule(
            town, "disposal_warning", None, HALF, changed_at, "account:admin", changed_at
        )
    half = MORNING + timedelta(minutes=121)
    sweep(town, desk, half)
    expected = [] if ended else [("disposal_warning", "dispatcher", half)]
    assert told(town, row["id"]) == expected
    # At four fifths, before the limit, the old rule would have told the person.
    later = row["due_at"] - timedelta(minutes=1)
    sweep(town, desk, later)
    assert told(town, row["id"]) == expected
    make_move(town, desk, row["number"], Asked("arrive"), worker, later)
    sweep(town, desk, later + timedelta(seconds=30))
    assert told(town, row["id"]) == expected
