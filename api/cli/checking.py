"""`gridward check`: every invariant, each failure with its repair."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.opening import opened
from api.cli.output import Json, finish, language, say, steps
from api.cli.sealing import read_seals
from api.i18n import translate
from dispatch.checking import check_record
from dispatch.seal import check_kept
from grid.checking import check_ground
from grid.mending import mend_ground


def check(
    mend: Annotated[
        bool, typer.Option("--mend", help="First mend what needs no decision by people.")
    ] = False,
    seals: Annotated[
        Path | None, typer.Option(help="Seals kept outside by `gridward seal --to`.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Prove that the town's data is whole; exit 1 when something is wrong. Example: gridward check"""
    with opened(keep=mend) as (services, session), steps() as step:
        now = datetime.now(UTC)
        mended = None
        if mend:
            step("mend")
            mended = asdict(mend_ground(session, now))
        step("ground")
        findings = check_ground(session, now)
        step("record")
        findings += check_record(session, services.desk.zone)
        if seals is not None:
            findings += check_kept(session, read_seals(seals))
    plain = [asdict(item) for item in findings]
    for item in findings if not as_json else []:
        sentence = translate(
            language(),
            f"check.{item.code}",
            count=item.count,
            things=", ".join(map(str, item.things)),
        )
        say("check.finding", sentence=sentence, repair=item.repair)
    told = {} if mended is None else {"mended": mended}
    finish({"ok": not findings, **told, "findings": plain}, as_json)
    if findings:
        raise typer.Exit(1)
