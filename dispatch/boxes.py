"""Films and recordings of telephones (MP4, 3GP, QuickTime) without what they say of themselves, read box by box. Pure.

ISO/IEC 14496-12 and QuickTime: a file is boxes within boxes. What is not picture or sound is overwritten with zeros where it
stands, so that no offset moves, nothing is decoded and the pictures stay bit for bit what they were: notes of the
maker (`udta`, `meta`, `uuid`), moments of making, and tracks that are neither picture nor sound (where cameras write
the place of every second), their samples included.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from grid.core.errors import BadInput
from grid.core.values import dataclass

Range = tuple[int, int]
# What stays, by the box it stands in; everything else there is taken out.
_OUTER = frozenset(
    {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"sidx", b"ssix", b"mfra", b"wide"}
)
_KEPT = {
    b"moov": frozenset({b"mvhd", b"trak", b"mvex", b"iods"}),
    b"trak": frozenset({b"tkhd", b"tref", b"trgr", b"edts", b"mdia", b"tapt", b"clip", b"matt", b"load"}),
    b"mdia": frozenset({b"mdhd", b"hdlr", b"elng", b"minf"}),
    b"moof": frozenset({b"mfhd", b"traf"}),
}  # fmt: skip
_NOTES = frozenset({b"udta", b"meta", b"uuid"})
_SHOWN = frozenset({b"vide", b"soun"})
_MOST_CHUNKS = 1_000_000
_DEEPEST = 8
_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_APPLE = "com.apple.quicktime."
_NAMED = {
    "©mak": "Make", "make": "Make", "©mod": "Model", "model": "Model", "©swr": "Software",
    "software": "Software", "©day": "DateTime", "creationdate": "DateTime", "©nam": "Title",
    "title": "Title", "titl": "Title", "©ART": "Author", "©aut": "Author", "artist": "Author",
    "author": "Author", "auth": "Author", "©cmt": "Comment", "comment": "Comment",
    "dscp": "Comment", "©des": "Comment", "description": "Comment",
}  # fmt: skip
_PLACES = frozenset({"©xyz", "location.ISO6709"})
_ISO_6709 = re.compile(r"([+-]\d{2}(?:\.\d+)?)([+-]\d{3}(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Box:
    """One box: name, begin of the box, begin and end of what it holds."""

    name: bytes
    at: int
    begin: int
    end: int


def boxes(content: bytes | bytearray, begin: int = 0, end: int | None = None) -> Iterator[Box]:
    """Boxes side by side; BadInput `evidence.broken_clip` where they do not fit into what holds them."""
    at, last = begin, len(content) if end is None else end
    while at < last:
        size = int.from_bytes(content[at : at + 4])
        name, head = bytes(content[at + 4 : at + 8]), 8
        if size == 1:
            size, head = int.from_bytes(content[at + 8 : at + 16]), 16
        elif size == 0:
            size = last - at
        if size < head or at + size > last:
            raise BadInput("evidence.broken_clip", field="photo")
        yield Box(name, at, at + head, at + size)
        at += size


def handlers(content: bytes, moov: Box) -> set[bytes]:
    """What the tracks hold: `vide` (pictures), `soun`, or something else."""
    return {
        _handler(content, trak)
        for trak in boxes(content, moov.begin, moov.end)
        if trak.name == b"trak"
    }


def cleaned_film(content: bytes) -> tuple[bytes, dict[str, Any]]:
    """The film without its notes, and the notes: names of `_NAMED`, lon and lat, Created, `taken_out` (names of boxes).

    Raises BadInput `evidence.broken_clip`.
    """
    out, notes = bytearray(content), dict[str, Any]()
    taken: set[str] = set()
    outer = list(boxes(content))
    frames = [(box.begin, box.end) for box in outer if box.name == b"mdat"]
    for box in outer:
        if box.name not in _OUTER:
            _blank(out, box, taken)
        elif box.name == b"moov":
            _clean_index(content, out, box, frames, notes, taken)
        elif box.name == b"moof":
            _clean(out, box, taken, 0)
    if taken:
        notes["taken_out"] = sorted(taken)
    return bytes(out), notes


def _clean_index(
    content: bytes,
    out: bytearray,
    moov: Box,
    frames: list[Range],
    notes: dict[str, Any],
    taken: set[str],
) -> None:
    inner = list(boxes(content, moov.begin, moov.end))
    for box in inner:
        if box.name in (b"udta", b"meta"):
            notes.update(_notes_in(content, box))
    hidden = [box for box in inner if box.name == b"trak" and _handler(content, box) not in _SHOWN]
    for trak in hidden:
        for begin, end in _samples(content, trak, frames):
            out[begin:end] = bytes(end - begin)
        taken.add(f"trak/{_handler(content, trak).decode('latin-1')}")
        _blank(out, trak, set())
    kept = [box for box in inner if box not in hidden]
    for box in kept:
        if box.name == b"trak":
            for part in boxes(content, box.begin, box.end):
                if part.name in (b"udta", b"meta"):
                    notes.update(_notes_in(content, part))
                elif part.name == b"tref" and hidden:
                    _blank(out, part, set())
        if box.name == b"mvhd":
            made = _made(content, box)
            notes |= {"Created": made} if made else {}
    _clean(out, moov, taken, 0)


def _clean(out: bytearray, holder: Box, taken: set[str], depth: int) -> None:
    """Takes out of a box what does not belong to pictures and sound, and out of its heads the moments of making."""
    kept = _KEPT.get(holder.name)
    for box in boxes(out, holder.begin, holder.end):
        if box.name in (b"free", b"skip"):
            out[box.begin : box.end] = bytes(box.end - box.begin)
        elif box.name in _NOTES or (kept is not None and box.name not in kept):
            _blank(out, box, taken)
        elif box.name in (b"mvhd", b"tkhd", b"mdhd"):
            wide = 16 if out[box.begin : box.begin + 1] == b"\x01" else 8
            until = min(box.begin + 4 + wide, box.end)
            out[box.begin + 4 : until] = bytes(max(until - box.begin - 4, 0))
        elif box.name in (*_KEPT, b"minf", b"stbl", b"traf") and depth < _DEEPEST:
            _clean(out, box, taken, depth + 1)


def _blank(out: bytearray, box: Box, taken: set[str]) -> None:
    if box.name not in (b"free", b"skip"):
        taken.add(box.name.decode("latin-1"))
    out[box.at + 4 : box.at + 8] = b"free"
    out[box.begin : box.end] = bytes(box.end - box.begin)


def _child(content: bytes, box: Box | None, *path: bytes) -> Box | None:
    for name in path:
        if box is None:
            return None
        box = next((b for b in boxes(content, box.begin, box.end) if b.name == name), None)
    return box


def _handler(content: bytes, trak: Box) -> bytes:
    head = _child(content, trak, b"mdia", b"hdlr") or _child(content, trak, b"hdlr")
    # Version and flags (4), a reserved word (4), the handler.
    return b"" if head is None else content[head.begin + 8 : head.begin + 12]


def _samples(content: bytes, trak: Box, frames: list[Range]) -> Iterator[Range]:
    """Where the samples of a track lie, chunk by chunk, within the frames' boxes."""
    table = _child(content, trak, b"mdia", b"minf", b"stbl")
    if table is None:
        return
    found = {box.name: box for box in boxes(content, table.begin, table.end)}
    where, runs, sizes = (
        found.get(b"co64") or found.get(b"stco"),
        found.get(b"stsc"),
        found.get(b"stsz"),
    )
    if where is None or runs is None or sizes is None:
        return
    kind = ">u8" if where.name == b"co64" else ">u4"
    offsets = _numbers(content, where, where.begin + 8, kind)
    firsts = _numbers(content, runs, runs.begin + 8, ">u4").reshape(-1, 3)
    one = int.from_bytes(content[sizes.begin + 4 : sizes.begin + 8])
    many = np.zeros(0, np.uint64) if one else _numbers(content, sizes, sizes.begin + 12, ">u4")
    if not len(offsets) or not len(firsts):
        return
    ends = np.append(firsts[1:, 0], len(offsets) + 1)
    # A table out of order would count backwards.
    counts = np.clip(ends.astype(np.int64) - firsts[:, 0].astype(np.int64), 0, len(offsets))
    each = np.repeat(firsts[:, 1], np.minimum(counts, _MOST_CHUNKS))[: len(offsets)]
    upto = np.concatenate([[0], np.cumsum(each.astype(np.int64))])
    lengths = (
        (upto[1:] - upto[:-1]) * one
        if one
        else np.diff(np.append(0, np.cumsum(many.astype(np.int64)))[np.clip(upto, 0, len(many))])
    )
    for begin, length in zip(offsets.tolist(), lengths.tolist(), strict=False):
        for first, last in frames:
            if first <= begin < last:
                yield begin, min(begin + max(length, 0), last)


def _numbers(content: bytes, box: Box, begin: int, kind: str) -> np.ndarray[Any, Any]:
    """The numbers of a table, as many as there really are."""
    most = (box.end - begin) // int(kind[-1]) * int(kind[-1])
    if most // int(kind[-1]) > 3 * _MOST_CHUNKS:
        raise BadInput("evidence.broken_clip", field="photo")
    return np.frombuffer(content[begin : begin + max(most, 0)], kind).astype(np.uint64)


def _made(content: bytes, mvhd: Box) -> str | None:
    wide = content[mvhd.begin] == 1 if mvhd.end > mvhd.begin else False
    seconds = int.from_bytes(content[mvhd.begin + 4 : mvhd.begin + (12 if wide else 8)])
    try:
        return (_EPOCH + timedelta(seconds=seconds)).isoformat() if seconds else None
    except OverflowError:
        return None


def _notes_in(content: bytes, holder: Box) -> dict[str, Any]:
    """What `udta` or `meta` tell, as far as it can be read; nothing of what cannot."""
    try:
        return dict(_told(_texts(content, holder)))
    except (BadInput, struct.error, IndexError, ValueError):
        return {}


def _told(texts: Iterator[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    for name, written in texts:
        key = name.removeprefix(_APPLE)
        if key in _PLACES and (place := _ISO_6709.search(written)):
            yield "lat", round(float(place[1]), 7)
            yield "lon", round(float(place[2]), 7)
        elif key in _NAMED:
            yield _NAMED[key], plain_note(written)


def _texts(content: bytes, holder: Box) -> Iterator[tuple[str, str]]:
    keys: list[str] = []
    for box in boxes(content, _held(content, holder), holder.end):
        name, held = box.name.decode("latin-1"), content[box.begin : box.end]
        if box.name == b"keys":
            keys = [
                content[key.begin : key.end].decode("utf-8", "replace")
                for key in boxes(content, box.begin + 8, box.end)
            ]
        elif box.name == b"meta":
            yield from _texts(content, box)
        elif box.name == b"ilst":
            yield from _listed(content, box, keys)
        elif name.startswith("©") and len(held) > 4:
            # QuickTime's own: length, language, text.
            yield name, held[4 : 4 + int.from_bytes(held[:2])].decode("utf-8", "replace")
        elif box.name == b"loci":
            lon, lat = struct.unpack(">ii", held[held.index(b"\0", 6) + 2 :][:8])
            yield "©xyz", f"{lat / 65536:+010.6f}{lon / 65536:+011.6f}"
        elif name in _NAMED and len(held) > 6:
            # 3GPP: version and flags (4), language (2), text.
            yield name, held[6:].split(b"\0")[0].decode("utf-8", "replace")


def _listed(content: bytes, ilst: Box, keys: list[str]) -> Iterator[tuple[str, str]]:
    for item in boxes(content, ilst.begin, ilst.end):
        index, data = int.from_bytes(item.name), _child(content, item, b"data")
        name = keys[index - 1] if 0 < index <= len(keys) else item.name.decode("latin-1")
        # Kind (4; 1 is text), language (4), value.
        if data is not None and content[data.begin : data.begin + 4] == b"\0\0\0\1":
            yield name, content[data.begin + 8 : data.end].decode("utf-8", "replace")


def _held(content: bytes, holder: Box) -> int:
    """Where the boxes within begin: MPEG's `meta` has version and flags before them, QuickTime's has not."""
    plain = content[holder.begin + 4 : holder.begin + 8].isalpha()
    return holder.begin if holder.name != b"meta" or plain else holder.begin + 4


def plain_note(written: str, longest: int = 100) -> str:
    """A text of a file as it may be kept and shown: printable, cut off."""
    return "".join(sign for sign in written if sign.isprintable()).strip()[:longest]
