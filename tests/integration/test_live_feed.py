"""The live feed ends when it is told to, whatever arrives at that moment."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from api.live import LiveFeed
from api.services import Services
from dispatch.incidents import LIVE_CHANNEL


@pytest.mark.parametrize("turns", range(6))
def test_it_stops_while_a_change_wakes_it(town_services: Services, turns: int) -> None:
    """A stop that met a change at the same turn of the loop was once lost, and the server never ended."""

    async def story() -> None:
        feed = LiveFeed(town_services)
        await feed.start()
        await asyncio.sleep(0.3)
        feed._woken.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(feed.stop(), 5)

    asyncio.run(asyncio.wait_for(story(), 20))


def test_it_stops_amid_notifications(town_services: Services) -> None:
    async def story() -> None:
        for _ in range(20):
            feed = LiveFeed(town_services)
            await feed.start()
            with town_services.sessions() as session:
                session.execute(text(f"notify {LIVE_CHANNEL}"))
                session.commit()
            await asyncio.wait_for(feed.stop(), 5)

    asyncio.run(asyncio.wait_for(story(), 60))
