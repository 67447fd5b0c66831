"""A new incident as `dispatch.reading` would give it, out of what was just written: its answer asks the database nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dispatch.catalogue import CategoryFacts
from dispatch.placement import Placement
from dispatch.recording import NewIncident, Recorded
from grid.core.values import dataclass

_AS_WRITTEN = (
    *("number", "status", "queue", "channel_code", "category_code", "description", "address"),
    *("flags", "given_datum", "given_lon", "given_lat", "match", "confidence", "spread_m"),
    *("geocoding", "segment_id", "side", "distance_m", "cell_code", "reason", "facts", "clocks"),
)
_MOMENTS = (
    *("occurred_at", "reported_at", "filed_at", "dispatched_at", "disposed_at", "ended_at"),
    *("due_at", "amber_at", "reply_due_at", "last_repeat_at"),
)
_TASK_AS_WRITTEN = (
    *("post", "lead", "after_lead", "round", "status", "ended_by", "assignee_id", "unit_id"),
)
_TASK_MOMENTS = ("due_at", "assigned_at", "accept_by", "accepted_at", "done_at", "ended_at")


@dataclass(frozen=True, slots=True)
class Names:
    """Whose names an answer shows: the category, street and grids of the place, people as id → (name, unit)."""

    category: CategoryFacts | None
    placement: Placement
    people: Mapping[int, tuple[str, str | None]]


def row_of(new: NewIncident, recorded: Recorded, names: Names) -> dict[str, Any]:
    """The columns of `reading.one_incident`: an incident of which nothing is known yet but its report and its tasks."""
    written, category = new.values, names.category
    located = None if names.placement.waits else names.placement.located
    grid = located.grid if located else None
    neighbour = located.neighbour if located else None
    return {
        **{name: written.get(name) for name in _AS_WRITTEN},
        **{name: _utc(written.get(name)) for name in _MOMENTS},
        "id": recorded.id,
        "version": 1,
        "category_zh": category.name_zh if category else None,
        "category_en": category.name_en if category else None,
        "urgency": category.urgency if category else None,
        "lon": recorded.lon,
        "lat": recorded.lat,
        "span": recorded.span,
        "street": located.street if located else None,
        "grid_code": grid.code if grid else None,
        "grid_name": grid.name if grid else None,
        "neighbour_code": neighbour.code if neighbour else None,
        "neighbour_name": neighbour.name if neighbour else None,
        "repeats": 0,
        "tasks": _tasks(new, recorded, names.people),
        "evidence": [],
    }


def _tasks(
    new: NewIncident, recorded: Recorded, people: Mapping[int, tuple[str, str | None]]
) -> list[dict[str, Any]]:
    """The lead's first, as they were given."""
    rows = []
    for task_id, task in zip(recorded.task_ids, new.tasks, strict=True):
        name, unit = people.get(task["assignee_id"], (None, None))
        rows.append(
            {
                **{key: task.get(key) for key in _TASK_AS_WRITTEN},
                **{key: _utc(task.get(key)) for key in _TASK_MOMENTS},
                "id": task_id,
                "incident_id": recorded.id,
                "note": None,
                "assignee_name": name,
                "unit": unit,
            }
        )
    return sorted(rows, key=lambda row: (not row["lead"], row["id"]))


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
