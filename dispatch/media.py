"""What a file is by its content, never by its name: photographs, voice notes, video clips, documents. Pure.

Films of telephones (mp4, 3gp, mov) are boxes within boxes: their outer boxes must end where the file ends, and a picture
track must be named. A WebM with a picture codec is a film, one without is a recording.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from grid.core.errors import BadInput

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
# What is kept as it came, by media type.
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
_PLAIN = ((b"OggS", "audio/ogg"), (b"ID3", "audio/mpeg"), (b"#!AMR", "audio/amr"))
_EBML = b"\x1a\x45\xdf\xa3"
_PICTURE_CODECS = (b"V_VP8", b"V_VP9", b"V_AV1", b"V_MPEG4")
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
_BOX = 8


def likely_kind(head: bytes) -> str | None:
    """The kind that the first bytes promise (HEAD_BYTES are enough), so that a file too large is not read whole."""
    if head.startswith(_PHOTOS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return PHOTO
    if head.startswith(_EBML) or _brand(head) is not None:
        return VIDEO
    if any(head.startswith(sign) for sign, _ in _PLAIN):
        return VOICE
    return DOCUMENT if b"%PDF-" in head[:1024] else None


def media_of(content: bytes) -> Media | None:
    """What a file is that is kept as it came; None for all else, photographs too (Pillow reads those).

    Raises BadInput `evidence.broken_clip`, `evidence.broken_document` for what begins well and does not go on so.
    """
    for sign, media_type in _PLAIN:
        if content.startswith(sign):
            return KEPT[media_type]
    if content.startswith(_EBML):
        film = any(codec in content[: 1 << 20] for codec in _PICTURE_CODECS)
        return KEPT["video/webm" if film else "audio/webm"]
    brand = _brand(content)
    if brand is not None:
        return _film(content, brand)
    if b"%PDF-" in content[:1024]:
        if b"%%EOF" not in content[-2048:] or b"startxref" not in content[-4096:]:
            raise BadInput("evidence.broken_document", field="photo")
        return PDF
    return None


def _brand(content: bytes) -> bytes | None:
    if content[4:8] != b"ftyp":
        return None
    return next((brand for brand in _BRANDS if content[8:].startswith(brand)), None)


def _film(content: bytes, brand: bytes) -> Media:
    boxes = dict(_boxes(content))
    moov = boxes.get(b"moov")
    if moov is None:
        # A recorder of voice may write its index in pieces; a film without any index cannot be shown.
        if brand == b"M4A":
            return KEPT["audio/mp4"]
        raise BadInput("evidence.broken_clip", field="photo")
    if not _has_pictures(content[moov[0] : moov[1]]):
        return KEPT["audio/mp4"]
    if brand.startswith(b"3g"):
        return KEPT["video/3gpp"]
    return KEPT["video/quicktime" if brand == b"qt  " else "video/mp4"]


def _boxes(content: bytes) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Outer boxes with begin and end; BadInput `evidence.broken_clip` where they do not fit into the file."""
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4])
        name, head = content[at + 4 : at + 8], _BOX
        if size == 1:
            size, head = int.from_bytes(content[at + 8 : at + 16]), 2 * _BOX
        elif size == 0:
            size = len(content) - at
        if size < head or at + size > len(content):
            raise BadInput("evidence.broken_clip", field="photo")
        yield name, (at + head, at + size)
        at += size


def _has_pictures(moov: bytes) -> bool:
    """Whether one of the tracks is of pictures: its handler says `vide`."""
    at = moov.find(b"hdlr")
    while at >= 0:
        # After the name: version and flags (4), a reserved word (4), the handler.
        if moov[at + 12 : at + 16] == b"vide":
            return True
        at = moov.find(b"hdlr", at + 4)
    return False
