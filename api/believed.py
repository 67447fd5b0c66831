"""What the database said a moment ago: which keys may read, and how new the lines of tiles are.

It is believed for BELIEVED_S at most, not beyond the key's own end or the moment from which lines change, and not beyond
the next use of the database by a session of this process: what is ended or changed here is so for the next tile, what another process
ends or changes, a quarter of a second later.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Engine, event

from api.permissions import REACH, may
from api.shared_question import Row, SharedQuestion
from maps.line_tiles import NEWEST

BELIEVED_S = 0.25
# So many keys are more than a town has open at once; beyond, all are asked anew.
MOST_KEYS = 10_000
# Keys as `account_of`, `get_signed_in` and `Account.may` have them (a test compares them).
ASKED = f"""
select m.due_s, m.newest, k.secret_hash, k.kind, a.role, a.staff_id is not null,
    extract(epoch from k.expires_at - statement_timestamp())
from ({NEWEST}) m
left join (public.access_key k join public.account a on a.id = k.account_id) on k.secret_hash = any($1::text[])
    and k.expires_at > statement_timestamp() and a.disabled_at is null and not a.must_change
    and (k.scopes is null or 'read' = any(k.scopes))
"""  # noqa: S608 (fixed words)
Key = tuple[bytes, bytes]


class Believed:
    """Of one server process. `question` must ask ASKED."""

    def __init__(self, question: SharedQuestion, engine: Engine) -> None:
        self._question = question
        self._time = object()
        # Each with the time between two uses that it was asked in, and until when it holds.
        self._keys: dict[Key, tuple[object, float]] = {}
        self._lines: tuple[object, float, int] = (None, 0.0, 0)
        # Given back when it has committed, and before whoever committed goes on.
        event.listen(engine, "checkin", self._doubt)

    def _doubt(self, *_connection: Any) -> None:
        self._time = object()

    async def newest_for(self, key: Key) -> int | None:
        """The number of the newest change of lines, for the holder of a key (kind, hash) that may read.

        None for everybody else, and while lines must be drawn anew. Raises psycopg.OperationalError.
        """
        now, asked_in = time.monotonic(), self._time
        since, until = self._keys.get(key, (None, 0.0))
        drawn_in, drawn_until, newest = self._lines
        if since is asked_in is drawn_in and now < until and now < drawn_until:
            return newest
        rows = await self._question.ask(key[1])
        mine = next((row for row in rows if row[3:1:-1] == key and _may_read(row)), None)
        due_s = float(rows[0][0] or BELIEVED_S)
        if mine is None or due_s <= 0:
            return None
        newest = int(mine[1] or 0)
        if len(self._keys) >= MOST_KEYS:
            self._keys.clear()
        self._keys[key] = (asked_in, now + min(BELIEVED_S, float(mine[6] or 0)))
        self._lines = (asked_in, now + min(BELIEVED_S, due_s), newest)
        return newest


def _may_read(row: Row) -> bool:
    """Whether the account of a row of ASKED may read, and has somebody whose incidents it sees."""
    role = (row[4] or b"").decode()
    return bool(role) and may(role, "read") and (REACH[role] == "all" or row[5] == b"t")
