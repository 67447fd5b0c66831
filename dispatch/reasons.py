"""Reasons as codes with values: why a place, a grid, a post, a person and a limit were chosen.

Sentences are made in `api`, in the reader's language, from `reason.<code>`.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from grid.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of a decision."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As stored and sent."""
        return {"code": self.code, "values": self.values}


def reason(code: str, /, **values: Any) -> Reason:
    """A reason with its values."""
    return Reason(code, values)
