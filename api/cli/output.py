"""What commands print: progress while a person watches, tables, one JSON object as the last line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import orjson
import typer

from api.i18n import Language, translate

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line.")]


def language() -> Language:
    """The reader's language: GRIDWARD_LANG, else the locale of the terminal, English by default."""
    given = (
        os.environ.get("GRIDWARD_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG", "")
    )
    return "zh" if given.lower().startswith("zh") else "en"


def say(key: str, **values: object) -> None:
    """A sentence for a person, on stderr, so that stdout stays for data."""
    sys.stderr.write(translate(language(), key, **values) + "\n")


def finish(result: dict[str, Any], as_json: bool) -> None:
    """Prints the result: as JSON, or as lines of name and value."""
    if as_json:
        sys.stdout.write(orjson.dumps(result, default=str).decode() + "\n")
        return
    lines = list(flat(result))
    width = max((len(name) for name, _ in lines), default=0)
    sys.stdout.writelines(f"{name:{width}}  {value}\n" for name, value in lines)


def flat(result: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values as dotted names."""
    for key, value in result.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{prefix}{key}", len(value)
        else:
            yield f"{prefix}{key}", value


@contextmanager
def steps() -> Iterator[Callable[..., None]]:
    """Shows the present step while a person watches; silent otherwise."""
    if not sys.stderr.isatty():
        yield lambda *_words: None
        return
    # Here and not above: what draws it is a twentieth of a command's start.
    from rich.console import Console

    with Console(stderr=True).status("…") as status:
        yield lambda *words: status.update(" ".join(str(word) for word in words))


@contextmanager
def counting() -> Iterator[Callable[[str, int], None]]:
    """Shows what is being written and how many rows so far, while a person watches."""
    with steps() as step:
        yield lambda what, rows: step(what, f"{rows:,}")


def refused_rows(refused: list[Any], limit: int = 20) -> None:
    """One line for each row that was not taken, up to a limit; then how many more."""
    for item in refused[:limit]:
        reason = translate(language(), item.code, **item.values)
        say("cli.refused_row", row=item.row, reason=reason)
    if len(refused) > limit:
        say("cli.refused_more", count=len(refused) - limit)


def refused_plain(refused: list[Any]) -> list[dict[str, Any]]:
    """Refused rows as the JSON result carries them."""
    return [
        {
            "row": item.row,
            "code": item.code,
            "reason": translate(language(), item.code, **item.values),
            **({"kept": True} if getattr(item, "kept", False) else {}),
        }
        for item in refused
    ]
