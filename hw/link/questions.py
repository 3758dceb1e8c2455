"""What a host sends in its questions. Needs no Amaranth."""

import struct

import numpy as np

from ..program import Program
from .protocol import LONGEST
from .weight_cells import weight_chunks

_NUMBER = struct.Struct("<H")


def check_image(program: Program) -> None:
    """ValueError when an image is longer than a frame's payload can be."""
    if program.image_bytes > LONGEST:
        raise ValueError(
            f"an image must take at most {LONGEST} bytes on a serial line, not "
            f"{program.image_bytes}, {program.image.words} words of {program.word_bits} bits; "
            "choose fewer rows or lanes, which make words narrower"
        )


def image_payload(program: Program, image: np.ndarray) -> bytes:
    """Of CLASSIFY: the words of an image's codes (channels, rows, columns), each in whole bytes,
    the first channel in the lowest bits."""
    size, width = -(-program.word_bits // 8), program.config.map_width
    words = program.image_words(image)
    numbers = (sum(int(code) << width * at for at, code in enumerate(word)) for word in words)
    return b"".join(number.to_bytes(size, "little") for number in numbers)


def chunk_payloads(program: Program) -> list[bytes]:
    """Of LOAD, one after the other: a number, and cells."""
    return [_NUMBER.pack(number) + cells for number, cells in enumerate(weight_chunks(program))]
