"""`gridward check`: every invariant, each failure with its repair."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import typer

from api.cli.opening import opened
from api.cli.output import Json, finish, language, say, steps
from api.i18n import translate
from dispatch.checking import check_record
from grid.checking import check_ground


def check(as_json: Json = False) -> None:
    """Prove that the town's data is whole; exit 1 when something is wrong. Example: gridward check"""
    with opened(keep=False) as (_, session), steps() as step:
        step("ground")
        findings = check_ground(session, datetime.now(UTC))
        step("record")
        findings += check_record(session)
    plain = [asdict(item) for item in findings]
    for item in findings if not as_json else []:
        sentence = translate(
            language(),
            f"check.{item.code}",
            count=item.count,
            things=", ".join(map(str, item.things)),
        )
        say("check.finding", sentence=sentence, repair=item.repair)
    finish({"ok": not findings, "findings": plain}, as_json)
    if findings:
        raise typer.Exit(1)
