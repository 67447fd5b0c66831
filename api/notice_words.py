"""The words of messages: staff by the sentences of the catalogues, residents by the bureau's templates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from api.i18n import Language, has, translate
from dispatch.notice_reading import NoticeFacts
from dispatch.resident_templates import Words, fill
from dispatch.senders import Message

DUE_FORMATS = {"zh": "{0.month}月{0.day}日 {0:%H:%M}", "en": "{0:%Y-%m-%d %H:%M}"}
LONGEST_PLACE = 60


def staff_message(
    notices: Sequence[NoticeFacts], language: Language, public_url: str, zone: ZoneInfo, tag: str
) -> Message:
    """One message for one or several notices to a person or group."""
    lines = [staff_line(notice, language, zone) for notice in notices]
    first = notices[0]
    urgent = any(notice.urgent for notice in notices)
    single = len(notices) == 1
    key = "notice.title_urgent" if urgent else "notice.title"
    if not single:
        key = "notice.title_several"
    title = translate(language, key, number=first.number, count=len(notices))
    link = link_to(public_url, f"/console/incidents/{first.number}" if single else "/field")
    if single and first.kind.startswith("task"):
        link = link_to(public_url, "/field")
    return Message(title, "\n".join(lines), link, tag, urgent)


def staff_line(notice: NoticeFacts, language: Language, zone: ZoneInfo) -> str:
    """One notice as one line; a kind without a sentence of its own is said in general words."""
    key = f"notice.kind.{notice.kind}"
    values = {name: value for name, value in notice.detail.items() if isinstance(value, str | int)}
    if notice.detail.get("post"):
        values["post"] = translate(language, f"post.{notice.detail['post']}")
    return translate(
        language,
        key if has(key) else "notice.kind.other",
        **{
            **values,
            "number": notice.number,
            "category": category_of(notice, language),
            "place": (notice.place or translate(language, "notice.no_place"))[:LONGEST_PLACE],
            "due": due_of(notice.due_at, language, zone) or translate(language, "notice.no_due"),
        },
    )


def resident_message(
    notice: NoticeFacts,
    words: Words,
    language: Language,
    public_url: str,
    page: str,
    zone: ZoneInfo,
) -> Message:
    """A resident's message from a template; `page` is the path of the reporter's own page."""
    link = link_to(public_url, page)
    filled = fill(words, resident_values(notice, language, link, zone))
    return Message(filled.title, filled.body)


def resident_values(
    notice: NoticeFacts, language: Language, link: str, zone: ZoneInfo
) -> dict[str, str]:
    """What the places of a template hold; never a private name."""
    return {
        "number": notice.number,
        "category": category_of(notice, language),
        "place": notice.place or "",
        "body": notice.unit or translate(language, "notice.the_bureau"),
        "due_date": due_of(notice.due_at, language, zone) or translate(language, "notice.no_due"),
        "question": notice.note or str(notice.detail.get("question", "")),
        "reason": notice.note or str(notice.detail.get("reason", "")),
        "link": link or notice.number,
    }


def category_of(notice: NoticeFacts, language: Language) -> str:
    """The category's name, or a word for an incident without one."""
    return notice.category.get(language) or translate(language, "notice.no_category")


def due_of(due_at: datetime | None, language: Language, zone: ZoneInfo) -> str | None:
    """A limit as people write it, in the town's time."""
    return None if due_at is None else DUE_FORMATS[language].format(due_at.astimezone(zone))


def link_to(public_url: str, path: str) -> str:
    """A page's full address; empty where the server's own address is not set."""
    return f"{public_url.rstrip('/')}{path}" if public_url else ""
