"""The words that an incident's columns may hold, for whoever explains them: states, queues, matches, doubts, units.

Kept beside the code that writes them by a test (tests/unit/test_dictionary.py) that reads it.
"""

from __future__ import annotations

from dispatch.categories import POSTS, URGENCIES
from dispatch.clocks import ClockKind
from dispatch.moves import State, TaskState
from dispatch.worktime import Unit

STATES = tuple(state.value for state in State)
TASK_STATES = tuple(state.value for state in TaskState)
CLOCKS = tuple(kind.value for kind in ClockKind)
UNITS = tuple(unit.value for unit in Unit)
# `progress.queues`, the most pressing first.
QUEUES = (
    *("place_needed", "to_accept", "verifying", "to_file", "to_dispatch", "returned", "not_accepted"),
    *("to_assign", "task_returned", "to_feed_back", "to_send_check", "to_check", "to_close", "suspended"),
    *("extension_asked", "suspension_asked", "question_open", "overdue"),
)  # fmt: skip
# How a place was found: by the geocoder, by a point, by a person (chosen, pin), or not.
MATCHES = (
    *("point", "door_plate", "interpolated", "crossing", "crossing_offset", "place", "span"),
    *("km_post", "facility", "street", "community", "outside", "chosen", "pin", "none"),
)
# Doubts about a place (`placing.py`, `placed_by_words.py`), and a likeness (`duplicates.py`).
FLAGS = (
    *("corrected", "datum_suspect", "default_point", "point_disagrees", "point_outside"),
    *("street_only", "words_elsewhere", "likely_duplicate"),
)

__all__ = [
    "CLOCKS", "FLAGS", "MATCHES", "POSTS", "QUEUES", "STATES", "TASK_STATES", "UNITS", "URGENCIES",
]  # fmt: skip
