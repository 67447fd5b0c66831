"""Recordings of voice (Ogg, MP3, AMR) without what they say of themselves, read page by page and frame by frame. Pure.

Ogg (RFC 3533, with Opus RFC 7845, Vorbis I, Speex): the packet of comments is written anew in the same length, and the checksums of its
pages with it. MP3: the tags before and after the frames are cut off. AMR (RFC 4867) has no place for notes. Every page
and frame is looked at, so that a file which only begins like a recording is found out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from dispatch.boxes import plain_note
from grid.core.errors import BadInput
from grid.core.values import dataclass

_MOST_NOTES = 40
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
# How a stream's first and second packet begin; then: bytes before the maker's name, and after the comments.
_STREAMS = (
    (b"OpusHead", b"OpusTags", 8, b""),
    (b"\x01vorbis", b"\x03vorbis", 7, b"\x01"),
    (b"Speex   ", b"", 0, b""),
)
_AMR = (
    (b"#!AMR-WB\n", (17, 23, 32, 36, 40, 46, 50, 58, 60, 5, -1, -1, -1, -1, 0, 0)),
    (b"#!AMR\n", (12, 13, 15, 17, 19, 20, 26, 31, 5, 6, 5, 5, -1, -1, -1, 0)),
)
# MPEG-1 layer III, then MPEG-2 and 2.5; kilobits a second and samples a second (ISO/IEC 11172-3, 13818-3).
_KILOBITS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_HERTZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_FRAMES_NEEDED = 2
_ID3_NAMED = {
    "TIT2": "Title", "TPE1": "Author", "TCOM": "Author", "TDRC": "DateTime", "TYER": "DateTime", "TALB": "Album",
    "TSSE": "Software", "TENC": "Software", "COMM": "Comment",
}  # fmt: skip
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")


def broken() -> BadInput:
    """What every file is that does not go on as it begins."""
    return BadInput("evidence.broken_clip", field="photo")


def cleaned_recording(content: bytes) -> tuple[bytes, dict[str, Any]]:
    """A recording without its notes, and the notes; BadInput `evidence.broken_clip`."""
    if content.startswith(b"OggS"):
        return _cleaned_ogg(content)
    if content.startswith(b"#!AMR"):
        return _whole_amr(content), {}
    return _cleaned_mp3(content)


def begins_like_mp3(content: bytes) -> bool:
    """Whether tags or two frames in a row stand at the beginning."""
    if content.startswith(b"ID3"):
        return True
    first = _frame_bytes(content, 0)
    return first > 0 and _frame_bytes(content, first) > 0


@dataclass(frozen=True, slots=True)
class _Page:
    at: int
    body: int
    end: int
    begins: bool
    serial: bytes
    lacing: bytes


def _pages(content: bytes) -> Iterator[_Page]:
    at = 0
    while at < len(content):
        body = at + 27 + (content[at + 26] if at + 26 < len(content) else 0)
        lacing = content[at + 27 : body]
        end = body + sum(lacing)
        head = content[at : at + 5]
        if head != b"OggS\0" or end > len(content) or body > len(content):
            raise broken()
        if content[at + 22 : at + 26] != _checksum(content[at:end]):
            raise broken()
        yield _Page(at, body, end, bool(content[at + 5] & 2), content[at + 14 : at + 18], lacing)
        at = end


def _checksum(page: bytes) -> bytes:
    """Ogg's: polynomial 04c11db7 from the highest bit on, which zlib counts from the lowest."""
    plain = page[:22] + b"\0\0\0\0" + page[26:]
    mirrored = zlib.crc32(plain.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2).to_bytes(4, "little")


def _cleaned_ogg(content: bytes) -> tuple[bytes, dict[str, Any]]:
    out, notes = bytearray(content), dict[str, Any]()
    kinds: dict[bytes, tuple[bytes, bytes, int, bytes]] = {}
    pages = list(_pages(content))
    for page in pages:
        if page.begins:
            first = content[page.body : page.end]
            kind = next((kind for kind in _STREAMS if first.startswith(kind[0])), None)
            if kind is None:
                raise broken()
            kinds[page.serial] = kind
    sounding = {page.serial for page in pages if not page.begins and page.end > page.body}
    if not kinds or sounding != set(kinds):
        raise broken()
    for serial, (_, sign, before, after) in kinds.items():
        own = [page for page in pages if page.serial == serial]
        parts = _second_packet(own)
        packet = b"".join(content[begin:end] for begin, end in parts)
        # Before the comments: sign, length and name of the maker, their number; a packet too short holds none.
        room = len(packet) - before - 8 - len(after)
        if not packet.startswith(sign) or room < 0:
            raise broken()
        notes |= _comments(packet[before:])
        fresh = sign + room.to_bytes(4, "little") + b" " * room + b"\0\0\0\0" + after
        at = 0
        for begin, end in parts:
            out[begin:end] = fresh[at : at + end - begin]
            at += end - begin
    for page in pages:
        if out[page.body : page.end] != content[page.body : page.end]:
            out[page.at + 22 : page.at + 26] = _checksum(bytes(out[page.at : page.end]))
    return bytes(out), notes | ({"taken_out": ["comments"]} if notes else {})


def _second_packet(pages: list[_Page]) -> list[tuple[int, int]]:
    """Where the second packet of a stream stands, page by page; BadInput where it never ends."""
    packet, parts = 0, list[tuple[int, int]]()
    for page in pages:
        at = page.body
        for piece in page.lacing:
            if packet == 1 and piece:
                if parts and parts[-1][1] == at:
                    parts[-1] = (parts[-1][0], at + piece)
                else:
                    parts.append((at, at + piece))
            at += piece
            packet += piece < 255
            if packet > 1:
                return parts
    raise broken()


def _comments(packet: bytes) -> dict[str, Any]:
    """NAME=VALUE of the comments, as many as can be read."""
    notes: dict[str, Any] = {}
    at = 4 + int.from_bytes(packet[:4], "little")
    count = int.from_bytes(packet[at : at + 4], "little")
    at += 4
    for _ in range(min(count, _MOST_NOTES)):
        length = int.from_bytes(packet[at : at + 4], "little")
        written = packet[at + 4 : at + 4 + length].decode("utf-8", "replace")
        name, equals, value = written.partition("=")
        if not equals or at + 4 + length > len(packet):
            break
        notes[plain_note(name)] = plain_note(value)
        at += 4 + length
    return notes


def _whole_amr(content: bytes) -> bytes:
    head, sizes = next((kind for kind in _AMR if content.startswith(kind[0])), (b"", ()))
    at = len(head)
    if not head or at == len(content):
        raise broken()
    while at < len(content):
        # One byte: padding, kind of frame (4 bits), quality, padding.
        size = sizes[content[at] >> 3 & 15]
        if size < 0 or content[at] & 0x83:
            raise broken()
        at += 1 + size
    if at != len(content):
        raise broken()
    return content


def _cleaned_mp3(content: bytes) -> tuple[bytes, dict[str, Any]]:
    begin, notes, taken = 0, dict[str, Any](), set[str]()
    while content[begin : begin + 3] == b"ID3":
        end = begin + 10 + _seven_bits(content[begin + 6 : begin + 10])
        notes |= _id3(content[begin:end])
        begin = end + (
            10
            if content[begin + 5 : begin + 6] >= b"\x10" and content[end : end + 3] == b"3DI"
            else 0
        )
        taken.add("ID3v2")
    begin = next(
        (at for at in range(begin, min(begin + 4096, len(content))) if _frame_bytes(content, at)),
        -1,
    )
    if begin < 0:
        raise broken()
    at = begin
    frames = 0
    while size := _frame_bytes(content, at):
        if at + size > len(content):
            break
        at += size
        frames += 1
    # What stands behind the last frame is a tag of some kind (ID3v1, APE, Lyrics3), or a frame cut off.
    behind = len(content) - at
    if frames < _FRAMES_NEEDED or behind > max(len(content) // 2, 65_536):
        raise broken()
    if behind:
        taken.add("behind")
    return content[begin:at], notes | ({"taken_out": sorted(taken)} if taken else {})


def _frame_bytes(content: bytes, at: int) -> int:
    """The length of the layer III frame that begins here; 0 where none does."""
    head = content[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, rate, pitch = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or rate in (0, 15) or pitch == 3:
        return 0
    first = version == 3
    kilobits, hertz = _KILOBITS[0 if first else 1][rate], _HERTZ[version][pitch]
    return (144 if first else 72) * kilobits * 1000 // hertz + (head[2] >> 1 & 1)


def _seven_bits(four: bytes) -> int:
    number = 0
    for byte in four:
        number = number << 7 | byte & 0x7F
    return number


def _id3(tag: bytes) -> dict[str, Any]:
    """Texts of an ID3v2.3 or 2.4 tag."""
    notes: dict[str, Any] = {}
    at = 10
    while at + 10 < len(tag) and len(notes) < _MOST_NOTES:
        name, four = tag[at : at + 4].decode("latin-1"), tag[at + 4 : at + 8]
        length = _seven_bits(four) if tag[3:4] == b"\x04" else int.from_bytes(four)
        held = tag[at + 10 : at + 10 + length]
        if not name.strip("\0") or not length:
            break
        if name in _ID3_NAMED and held and held[0] < len(_ENCODINGS):
            text = held[4:] if name == "COMM" else held[1:]
            written = text.decode(_ENCODINGS[held[0]], "replace")
            notes[_ID3_NAMED[name]] = plain_note(written.strip("\0"))
        at += 10 + length
    return notes
