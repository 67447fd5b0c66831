"""What a file is by its content, never by its name: photographs, voice notes, video clips, documents.

Films and recordings are read through to their end (`boxes`, `webm`, `recordings`), and given back without what they say of
themselves; documents by `documents`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from dispatch.boxes import boxes, cleaned_film, handlers
from dispatch.documents import cleaned_document
from dispatch.recordings import begins_like_mp3, cleaned_recording
from dispatch.webm import cleaned_webm, film_or_sound
from grid.core.errors import BadInput
from grid.core.values import dataclass

HEAD_BYTES = 4096
PHOTO, VOICE, VIDEO, DOCUMENT = "photo", "voice", "video", "document"


@dataclass(frozen=True, slots=True)
class Media:
    """What a file is: kind (photo, voice, video, document), media type and ending it is kept and given out with."""

    kind: str
    media_type: str
    ending: str


JPEG = Media(PHOTO, "image/jpeg", "jpg")
PDF = Media(DOCUMENT, "application/pdf", "pdf")
# What is no photograph, by media type.
KEPT = {
    media.media_type: media
    for media in (
        Media(VOICE, "audio/webm", "webm"),
        Media(VOICE, "audio/ogg", "ogg"),
        Media(VOICE, "audio/mp4", "m4a"),
        Media(VOICE, "audio/mpeg", "mp3"),
        Media(VOICE, "audio/amr", "amr"),
        Media(VIDEO, "video/mp4", "mp4"),
        Media(VIDEO, "video/webm", "webm"),
        Media(VIDEO, "video/3gpp", "3gp"),
        Media(VIDEO, "video/quicktime", "mov"),
        PDF,
    )
}
_PHOTOS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_PLAIN = ((b"OggS", "audio/ogg"), (b"#!AMR", "audio/amr"))
_EBML = b"\x1a\x45\xdf\xa3"
# Brands of films and recordings; a telephone's HEIC pictures begin with ftyp too and are none of these.
_BRANDS = (
    b"isom",
    b"iso",
    b"mp4",
    b"M4A",
    b"M4V",
    b"avc1",
    b"3gp",
    b"3g2",
    b"qt  ",
    b"MSNV",
    b"dash",
)


def likely_kind(head: bytes) -> str | None:
    """The kind that the first bytes promise (HEAD_BYTES are enough), so that a file too large is not read whole."""
    if head.startswith(_PHOTOS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return PHOTO
    if head.startswith(_EBML) or _brand(head) is not None:
        return VIDEO
    if any(head.startswith(sign) for sign, _ in _PLAIN) or begins_like_mp3(head):
        return VOICE
    return DOCUMENT if b"%PDF-" in head[:1024] else None


def media_of(content: bytes) -> Media | None:
    """What a clip, recording or document is; None for all else, photographs too (Pillow reads those).

    Raises BadInput `evidence.broken_clip`, `evidence.broken_document` for what begins well and does not go on so.
    """
    for sign, media_type in _PLAIN:
        if content.startswith(sign):
            return KEPT[media_type]
    if content.startswith(_EBML):
        return KEPT[f"{film_or_sound(content)}/webm"]
    brand = _brand(content)
    if brand is not None:
        return _film(content, brand)
    if begins_like_mp3(content):
        return KEPT["audio/mpeg"]
    if b"%PDF-" in content[:1024]:
        if b"%%EOF" not in content[-2048:] or b"startxref" not in content[-4096:]:
            raise BadInput("evidence.broken_document", field="photo")
        return PDF
    return None


def cleaned(content: bytes, media: Media) -> tuple[bytes, dict[str, Any]]:
    """A clip, recording or document without what it says of itself, and that; `sent_sha256` is of what came.

    Raises BadInput `evidence.broken_clip`, `evidence.broken_document`, `evidence.document_locked`.
    """
    fresh, notes = _cleaner(media)(content)
    return fresh, {**notes, "sent_sha256": hashlib.sha256(content).hexdigest()}


def _cleaner(media: Media) -> Callable[[bytes], tuple[bytes, dict[str, Any]]]:
    if media == PDF:
        return cleaned_document
    if media.ending == "webm":
        return cleaned_webm
    boxed = media.ending in ("mp4", "m4a", "3gp", "mov")
    return cleaned_film if boxed else cleaned_recording


def _brand(content: bytes) -> bytes | None:
    if content[4:8] != b"ftyp":
        return None
    return next((brand for brand in _BRANDS if content[8:].startswith(brand)), None)


def _film(content: bytes, brand: bytes) -> Media:
    moov = next((box for box in list(boxes(content)) if box.name == b"moov"), None)
    if moov is None:
        # A recorder of voice may write its index in pieces; a film without any index cannot be shown.
        if brand == b"M4A":
            return KEPT["audio/mp4"]
        raise BadInput("evidence.broken_clip", field="photo")
    if b"vide" not in handlers(content, moov):
        return KEPT["audio/mp4"]
    if brand.startswith(b"3g"):
        return KEPT["video/3gpp"]
    return KEPT["video/quicktime" if brand == b"qt  " else "video/mp4"]
