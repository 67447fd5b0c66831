"""`gridward suggest`: categories suggested from words, and the model that closed incidents teach."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from api.cli.opening import opened
from api.cli.output import Json, finish, language, say, steps
from dispatch.suggest_kept import model_list, suggestions, train_and_keep

WHO = "command"
app = typer.Typer(
    no_args_is_help=True,
    help="Categories suggested from words. Example: gridward suggest train",
)


@app.command()
def train(as_json: Json = False) -> None:
    """Learn categories from closed incidents. Example: gridward suggest train"""
    with opened() as (_, session), steps() as step:
        step("train")
        row = train_and_keep(session, WHO, datetime.now(UTC))
        result = next(each for each in model_list(session) if each["id"] == row.id)
    if not as_json:
        say("suggest.used" if result["in_use"] else "suggest.not_used", **_shares(result))
    finish(result, as_json)


@app.command()
def models(as_json: Json = False) -> None:
    """List the models trained, with how they did. Example: gridward suggest models"""
    with opened(keep=False) as (_, session):
        rows = model_list(session)
    if as_json:
        finish({"models": rows}, True)
        return
    if not rows:
        say("cli.nothing_listed")
    for row in rows:
        sentence = "suggest.used" if row["in_use"] else "suggest.not_used"
        typer.echo(f"{row['id']} · {row['trained_at']:%Y-%m-%d %H:%M} · {row['cases']}")
        say(sentence, **_shares(row))


@app.command()
def ask(
    words: Annotated[str, typer.Argument(metavar="TEXT", help="What somebody reports.")],
    as_json: Json = False,
) -> None:
    """Suggest categories for a text. Example: gridward suggest ask 垃圾桶满了没人清"""
    with opened(keep=False) as (services, session):
        _, rules = services.desk.read(session)
        learned = services.suggestions.read(session)
        found = suggestions(words, learned, list(rules.categories), 3)
        names = {c.code: c.name_zh if language() == "zh" else c.name_en for c in rules.categories.values()}  # fmt: skip
    if as_json:
        plain = [
            {"code": s.category, "certainty": s.certainty, "source": s.source, "words": s.words}
            for s in found
        ]
        finish({"items": plain, "model": learned.id if learned else None}, True)
        return
    if not found:
        say("cli.nothing_listed")
    for one in found:
        typer.echo(f"{one.category} {names[one.category]} · {one.certainty:.0%} · {one.source}")


def _shares(row: dict[str, Any]) -> dict[str, str]:
    """How often each way named the right category first, as percentages."""
    ways = ("keywords", "learned", "together")
    return {way: f"{row[f'{way}_right'] / max(row['held_back'], 1):.1%}" for way in ways}
