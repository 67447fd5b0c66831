"""One message from the queue to its partner and back: read, word, send, mark."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from api.i18n import LANGUAGES, Language
from api.notice_words import resident_message, staff_message
from api.resident_links import page_of
from api.services import Services
from dispatch import notice_queue, notice_reading, senders
from dispatch.contacts import gateway_url
from dispatch.doors import parse_networks
from dispatch.notice_queue import Batch
from dispatch.notice_reading import ToSend
from dispatch.resident_templates import template_for
from dispatch.senders import Message, Outcome, PushKey

LOG = logging.getLogger("gridward.worker")


class Sending:
    """What a worker needs to send: settings, and the key that signs pushes."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings.notices
        self._zone = services.settings.town.zone
        self._networks = parse_networks(self._settings.private_networks)
        self._push_key: PushKey | None = None

    def send(self, batch: Batch, worker_id: int) -> None:
        """Sends one claimed batch and marks what came of it; a fault of ours counts as not arrived."""
        try:
            with self._services.sessions() as session:
                found = notice_reading.to_send(session, batch)
                if found.way == "gone":
                    notice_queue.mark_dropped(session, batch, worker_id, "channel_ended")
                    session.commit()
                    return
                send = self._prepared(session, found, batch)
        except Exception:
            LOG.exception("message %s could not be made", batch.target)
            self._mark(batch, worker_id, Outcome(senders.FAILED, "not_made"))
            return
        try:
            outcome = send()
        except Exception as error:
            # Without the error's words: they may hold a number, an address or a token.
            LOG.error("sending to %s failed: %s", batch.target, type(error).__name__)
            outcome = Outcome(senders.UNCERTAIN, "sender_failed")
        if outcome.state == senders.GONE:
            with self._services.sessions() as session:
                notice_reading.end_push(session, found.address["id"], datetime.now(UTC))
                session.commit()
        self._mark(batch, worker_id, outcome)

    def give_up_waiting(self, batch: Batch, worker_id: int) -> None:
        """A partner that has not let go of a message for far too long: nobody knows what became of it."""
        self._mark(batch, worker_id, Outcome(senders.UNCERTAIN, "hung"))

    def _prepared(self, session: Session, found: ToSend, batch: Batch) -> Callable[[], Outcome]:
        """The message ready to go; sending itself holds no database connection."""
        limit_s, now = self._settings.send_seconds, datetime.now(UTC)
        if found.way == "webhook":
            payload = {**(found.payload or {}), "delivery": batch.ids[0]}
            return lambda: senders.send_webhook(
                found.address["url"],
                found.address["secret"],
                payload,
                batch.ids[0],
                self._networks,
                limit_s,
                now,
            )
        message = self._message(session, found, batch)
        if message is None:
            return lambda: Outcome(senders.GONE, "no_template")
        if found.way == "push":
            key = self._key()
            return lambda: senders.send_push(
                found.address["endpoint"],
                found.address["keys"],
                message,
                key,
                self._settings.push_contact,
                self._networks,
                limit_s,
                now,
            )
        url: str | None = found.address["url"]
        if url is not None and "://" not in url:
            url = gateway_url(found.address["kind"], url, self._settings)
        if url is None:
            return lambda: Outcome(senders.FAILED, "gateway_missing")
        return lambda: senders.send_apprise(url, message, limit_s)

    def _message(self, session: Session, found: ToSend, batch: Batch) -> Message | None:
        language = self._language(found.language)
        public_url = self._settings.public_url
        if found.way == "reporter":
            notice = found.notices[0]
            words = template_for(session, notice.kind, notice.category_code, language)
            if words is None:
                return None
            page = page_of(self._services.settings.database.home_folder, notice.number)
            return resident_message(notice, words, language, public_url, page, self._zone)
        tag = f"gridward-{batch.ids[0]}"
        return staff_message(found.notices, language, public_url, self._zone, tag)

    def _language(self, wanted: str | None) -> Language:
        for language in LANGUAGES:
            if wanted == language:
                return language
        return self._services.settings.web.default_language

    def _key(self) -> PushKey:
        if self._push_key is None:
            self._push_key = PushKey(self._services.settings.database.home_folder)
        return self._push_key

    def _mark(self, batch: Batch, worker_id: int, outcome: Outcome) -> None:
        now = datetime.now(UTC)
        code = outcome.code or outcome.state
        with self._services.sessions() as session:
            if outcome.state == senders.SENT:
                notice_queue.mark_sent(session, batch, worker_id, now)
            elif outcome.state == senders.GONE:
                notice_queue.mark_dropped(session, batch, worker_id, code)
            elif outcome.state == senders.UNCERTAIN:
                notice_queue.mark_uncertain(session, batch, worker_id, code)
                LOG.error("%s: %s may have arrived or not (%s)", batch.target, batch.ids, code)
            else:
                given_up = notice_queue.mark_failed(
                    session, batch, worker_id, code, self._settings, now
                )
                if given_up:
                    LOG.error("%s: %s given up (%s)", batch.target, batch.ids, code)
            session.commit()
