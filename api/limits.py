"""How often one address may try: failed sign-ins, and reports without an account.

Counted in the memory of each server process, in a moving window. An account's own lock after five failures
(api/auth.py) stands in the database and holds for all processes.
"""

from __future__ import annotations

import time

from fastapi import Request
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from grid.core.errors import TooMany
from grid.core.settings import WebSettings


class RateLimits:
    """The counters of one server process."""

    def __init__(self, settings: WebSettings) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._failures = RateLimitItemPerMinute(settings.failed_sign_ins_per_minute)
        self._reports = RateLimitItemPerMinute(settings.open_reports_per_minute)

    def before_sign_in(self, request: Request, what: str = "sign-in") -> None:
        """TooMany `auth.too_many` when this address has failed too often within a minute.

        `what`: "sign-in", or "track" for a telephone number given to show who reported.
        """
        if not self._limiter.test(self._failures, what, address_of(request)):
            raise TooMany("auth.too_many", seconds=self._wait(self._failures, what, request))

    def failed_sign_in(self, request: Request, what: str = "sign-in") -> None:
        """Counts a failure."""
        self._limiter.hit(self._failures, what, address_of(request))

    def open_report(self, request: Request) -> None:
        """Counts a report without an account; TooMany `report.too_many`."""
        if not self._limiter.hit(self._reports, "report", address_of(request)):
            raise TooMany("report.too_many", seconds=self._wait(self._reports, "report", request))

    def _wait(self, item: RateLimitItem, what: str, request: Request) -> int:
        window = self._limiter.get_window_stats(item, what, address_of(request))
        return max(1, int(window.reset_time - time.time()) + 1)


def address_of(request: Request) -> str:
    """The sender's address; behind a proxy that the server trusts, the one the proxy names."""
    return request.client.host if request.client else "unknown"


def limits_of(request: Request) -> RateLimits:
    """The counters of the process that answers."""
    counters: RateLimits = request.app.state.limits
    return counters
