"""The family of troubles. Lower floors raise a code with values; sentences and status codes are made in `api`.

Trouble
├── BadInput      what the caller gave cannot be used
├── NotFound      the thing named does not exist
├── NotAllowed    this account may not do this
├── Conflict      somebody was faster, or it is not possible in the present state
└── Unavailable   something this needs (database, partner) does not answer now
"""

from __future__ import annotations

from typing import Any


class Trouble(Exception):
    """A refusal with a stable dotted `code`, the `field` at fault and the `values` for its sentence."""

    def __init__(self, code: str, /, field: str | None = None, **values: object) -> None:
        self.code = code
        self.field = field
        self.values = values
        super().__init__(code, field, values)

    def __reduce__(self) -> tuple[Any, ...]:
        # From a worker process to the one that asked: the values are keywords, so not the way of other exceptions.
        return _again, (type(self), self.code, self.field, self.values)

    def __str__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in self.values.items())
        return f"{self.code}({shown})"


def _again(kind: type[Trouble], code: str, field: str | None, values: dict[str, object]) -> Trouble:
    return kind(code, field, **values)


class BadInput(Trouble):
    """What the caller gave cannot be used."""


class NotFound(Trouble):
    """The thing named does not exist, or is not the caller's to see."""


class NotAllowed(Trouble):
    """This account may not do this."""


class Conflict(Trouble):
    """Somebody was faster, or the move is not possible in the present state."""


class TooMany(Trouble):
    """Too often from one sender; `seconds` says when to come back."""


class Unavailable(Trouble):
    """Something this needs does not answer now."""
