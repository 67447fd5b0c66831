"""WebM of browsers and telephones without what it says of itself, read element by element. Pure.

EBML (RFC 8794) and Matroska (RFC 9559): elements within elements. Tags, attachments, chapters, titles and the moment of making
become `Void` of the same length where they stand, so that no offset moves and nothing is decoded. A browser records
without knowing the length, so segments and clusters may have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dispatch.boxes import plain_note
from grid.core.errors import BadInput
from grid.core.values import dataclass

HEAD, SEGMENT, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_INFO, _TRACKS, _TAGS, _ATTACHMENTS = 0x1549A966, 0x1654AE6B, 0x1254C367, 0x1941A469
_SEEK, _CUES, _CHAPTERS = 0x114D9B74, 0x1C53BB6B, 0x1043A770
_LEVEL_1 = frozenset({_INFO, _TRACKS, _TAGS, _ATTACHMENTS, _SEEK, _CUES, _CHAPTERS, CLUSTER})
_KEPT = frozenset({_INFO, _TRACKS, _SEEK, _CUES, CLUSTER})
_TRACK, _TRACK_TYPE, _NAME, _CODEC = 0xAE, 0x83, 0x536E, 0x86
_TITLE, _DATE, _VOID, _CRC = 0x7BA9, 0x4461, 0xEC, 0xBF
# Titles, names of files, and the moment of making; a checksum fits no more once they are gone.
_TOLD_IN_INFO = frozenset({_TITLE, _DATE, 0x7384, 0x3C83AB, 0x3E83BB, _CRC})
_DOC_TYPE, _TAG, _SIMPLE, _TAG_NAME, _TAG_TEXT = 0x4282, 0x7373, 0x67C8, 0x45A3, 0x4487
_BLOCKS = frozenset({0xA3, 0xA0})
_PICTURES, _SOUND = 1, 2
_MOST = 1_000_000
_MOST_NOTES = 40
_NAMES = {
    _INFO: "Info", _TAGS: "Tags", _ATTACHMENTS: "Attachments", _CHAPTERS: "Chapters", _TITLE: "Title", _DATE: "DateUTC",
    0x7384: "SegmentFilename", 0x3C83AB: "PrevFilename", 0x3E83BB: "NextFilename", _NAME: "Name",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its id, where it begins, where what it holds begins and ends; `sized` False without a length."""

    id: int
    at: int
    begin: int
    end: int
    sized: bool = True


def film_or_sound(content: bytes) -> str:
    """`video` where a track is of pictures, else `audio`; BadInput `evidence.broken_clip` for what is neither."""
    kinds: set[int] = set()
    blocks = 0
    for element in _level_1(content):
        if element.id == _TRACKS:
            kinds |= {_kind(content, track) for track in _children(content, element)
                      if track.id == _TRACK}  # fmt: skip
        elif element.id in _BLOCKS:
            blocks += 1
    if not blocks or not kinds or not kinds <= {_PICTURES, _SOUND}:
        raise BadInput("evidence.broken_clip", field="photo")
    return "video" if _PICTURES in kinds else "audio"


def cleaned_webm(content: bytes) -> tuple[bytes, dict[str, Any]]:
    """The file without its notes, and the notes: names of tags, Title, `taken_out`. BadInput `evidence.broken_clip`."""
    out, notes = bytearray(content), dict[str, Any]()
    taken: set[str] = set()
    for element in _level_1(content):
        if element.id == _INFO:
            _void_in(content, out, element, _TOLD_IN_INFO, notes, taken)
        elif element.id == _TRACKS:
            for track in _children(content, element):
                if track.id == _TRACK:
                    _void_in(content, out, track, frozenset({_NAME, _CRC}), notes, taken)
                elif track.id == _CRC:
                    _void(out, track)
        elif element.id == _TAGS:
            notes |= dict(list(_tags(content, element))[:_MOST_NOTES])
        if element.id not in _KEPT | _BLOCKS:
            if element.id in _NAMES:
                taken.add(_NAMES[element.id])
            _void(out, element)
    if taken:
        notes["taken_out"] = sorted(taken)
    return bytes(out), notes


def _void_in(
    content: bytes,
    out: bytearray,
    holder: Element,
    which: frozenset[int],
    notes: dict[str, Any],
    taken: set[str],
) -> None:
    for element in _children(content, holder):
        if element.id == _TITLE:
            notes["Title"] = _text(content, element)
        if element.id in which or element.id == _VOID:
            taken |= {_NAMES[element.id]} if element.id in _NAMES else set()
            _void(out, element)


def _void(out: bytearray, element: Element) -> None:
    """The same length of nothing."""
    length = element.end - element.at
    rest = length - 2 if length < 0x80 else length - 9
    size = (0x80 | rest).to_bytes(1) if length < 0x80 else (1 << 56 | rest).to_bytes(8)
    out[element.at : element.end] = bytes([_VOID]) + size + bytes(rest)


def _level_1(content: bytes) -> Iterator[Element]:
    """The elements of the segment, and the blocks of its first cluster, and of those without a length."""
    head = _element(content, 0, len(content))
    segment = _element(content, head.end, len(content))
    while segment.id == _VOID:
        segment = _element(content, segment.end, len(content))
    doc_types = {_text(content, e) for e in _children(content, head) if e.id == _DOC_TYPE}
    if head.id != HEAD or segment.id != SEGMENT or not doc_types <= {"webm", "matroska"}:
        raise BadInput("evidence.broken_clip", field="photo")
    at, clusters = segment.begin, 0
    for _ in range(_MOST):
        if at >= segment.end:
            break
        element = _element(content, at, segment.end)
        yield element
        at = element.end
        if element.id == CLUSTER:
            clusters += 1
            if clusters == 1 or not element.sized:
                at = element.begin
                while at < element.end:
                    block = _element(content, at, element.end)
                    if block.id in _LEVEL_1:
                        break
                    if block.id in _BLOCKS:
                        yield block
                    at = block.end
    else:
        raise BadInput("evidence.broken_clip", field="photo")
    if segment.end < len(content):
        raise BadInput("evidence.broken_clip", field="photo")


def _children(content: bytes, holder: Element) -> Iterator[Element]:
    at = holder.begin
    while at < holder.end:
        element = _element(content, at, holder.end)
        yield element
        at = element.end


def _element(content: bytes, at: int, last: int) -> Element:
    """The element that begins here; BadInput `evidence.broken_clip` where it does not fit.

    Only a cluster or a block at the very end may be cut off, as by a recorder that lost its power.
    """
    id_length = _length(content, at, 4)
    identity = int.from_bytes(content[at : at + id_length])
    size_at = at + id_length
    size_length = _length(content, size_at, 8)
    begin = size_at + size_length
    size = int.from_bytes(content[size_at:begin]) & ((1 << 7 * size_length) - 1)
    if size == (1 << 7 * size_length) - 1 and identity in (SEGMENT, CLUSTER):
        return Element(identity, at, begin, last, sized=False)
    if begin + size > last:
        if identity not in (SEGMENT, CLUSTER, *_BLOCKS) or last != len(content):
            raise BadInput("evidence.broken_clip", field="photo")
        return Element(identity, at, begin, last)
    return Element(identity, at, begin, begin + size)


def _length(content: bytes, at: int, most: int) -> int:
    """How many bytes a number of variable length has, told by its first."""
    first = content[at] if at < len(content) else 0
    length = 9 - first.bit_length()
    if not first or length > most or at + length > len(content):
        raise BadInput("evidence.broken_clip", field="photo")
    return length


def _kind(content: bytes, track: Element) -> int:
    found = {e.id: e for e in _children(content, track)}
    kind, codec = found.get(_TRACK_TYPE), found.get(_CODEC)
    if kind is None or codec is None or not _text(content, codec).startswith(("A_", "V_")):
        return 0
    return int.from_bytes(content[kind.begin : kind.end])


def _tags(content: bytes, tags: Element) -> Iterator[tuple[str, str]]:
    for tag in _children(content, tags):
        for simple in _children(content, tag) if tag.id == _TAG else ():
            if simple.id == _SIMPLE:
                found = {e.id: e for e in _children(content, simple)}
                if _TAG_NAME in found and _TAG_TEXT in found:
                    name = _text(content, found[_TAG_NAME])
                    yield name, _text(content, found[_TAG_TEXT])


def _text(content: bytes, element: Element) -> str:
    return plain_note(
        content[element.begin : element.end].split(b"\0")[0].decode("utf-8", "replace")
    )
