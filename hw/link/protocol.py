"""Frames over a serial line, for the board, the host and tests of both. Needs no Amaranth.

    SYNC   number   kind   length (2)   payload (length)   CRC (2)

Numbers of two bytes come with the low one first. The CRC is CRC-16/XMODEM of number, kind, length
and payload, the high byte first. The host asks, the board answers with the same number and the kind
plus ANSWER; the payload of a REFUSAL is its reason. Whatever gets lost, the host asks again: asking
twice does no harm. A board that waits for the rest of a frame gives up after `GAP` bytes' time.
"""

import binascii
import struct
from dataclasses import dataclass

SYNC = 0xA5
ANSWER = 0x80
REFUSAL = 0xFF
HEAD = 5  # bytes up to the payload
LONGEST = 2**16 - 1  # bytes of a payload
GAP = 16  # bytes' time of silence in a frame

DESCRIBE = 1  # no payload; the answer's is a Description
CLASSIFY = 2  # payload: an image's words; the answer's: class (2), cycles (4)
LOAD = 3  # payload: number (2) and cells of a chunk of weights; the answer's is empty

CELL = 2  # bytes of weights that are written together
CHUNK = 64  # cells of LOAD

BAD_CRC, BAD_KIND, BAD_LENGTH, SILENCE, NOT_LOADED, BAD_ORDER = 1, 2, 3, 4, 5, 6  # reasons
REASONS = {
    BAD_CRC: "its checksum is wrong",
    BAD_KIND: "its kind is unknown",
    BAD_LENGTH: "its length is not that of an image",
    SILENCE: "it broke off",
    NOT_LOADED: "it has no weights yet",
    BAD_ORDER: "it wants another chunk of weights",
}
RESULT = struct.Struct("<HI")
_DESCRIPTION = struct.Struct("<IIQIHHH")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """number: 0 to 255, which an answer repeats."""

    number: int
    kind: int
    payload: bytes = b""

    def encode(self) -> bytes:
        body = struct.pack("<BBH", self.number, self.kind, len(self.payload)) + self.payload
        return bytes([SYNC]) + body + crc(body)


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a board says of itself. identity: `hw.shell.registers.ID`. version: of AdderForge.
    program: `program_hash`, as a number. image_words, word_bytes: of CLASSIFY's payload. classes:
    of the network. chunks: of weights that it must be given with LOAD, one after the other; 0 for a
    board that has them."""

    identity: int
    version: int
    program: int
    image_words: int
    word_bytes: int
    classes: int
    chunks: int = 0

    def encode(self) -> bytes:
        return _DESCRIPTION.pack(*self.__dict__.values())

    @classmethod
    def decode(cls, payload: bytes) -> "Description":
        """ValueError for another length."""
        if len(payload) != _DESCRIPTION.size:
            raise ValueError(
                f"a description must have {_DESCRIPTION.size} bytes, not {len(payload)}"
            )
        return cls(**dict(zip(cls.__annotations__, _DESCRIPTION.unpack(payload), strict=True)))


def crc(body: bytes) -> bytes:
    """CRC-16/XMODEM: polynomial x¹⁶ + x¹² + x⁵ + 1, from 0."""
    return struct.pack(">H", binascii.crc_hqx(body, 0))


class FrameReader:
    """Finds frames in bytes as they come; what is no whole frame is passed over."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, some: bytes) -> list[Frame]:
        """The frames that are whole now."""
        self._bytes += some
        frames = []
        while (start := self._bytes.find(SYNC)) >= 0:
            del self._bytes[:start]
            if len(self._bytes) < HEAD:
                break
            number, kind, length = struct.unpack_from("<BBH", self._bytes, 1)
            end = HEAD + length
            if len(self._bytes) < end + 2:
                break
            if crc(bytes(self._bytes[1:end])) == self._bytes[end : end + 2]:
                payload = bytes(self._bytes[HEAD:end])
                frames.append(Frame(number=number, kind=kind, payload=payload))
                del self._bytes[: end + 2]
            else:
                del self._bytes[:1]
        return frames

    def forget(self) -> None:
        """A frame that has begun will not be ended."""
        self._bytes.clear()
