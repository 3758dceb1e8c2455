"""Weights as cells of 16 bits, in chunks that go over the line. Needs no Amaranth."""

import numpy as np

from ..program import Program
from .protocol import CELL, CHUNK

CELL_BITS = 8 * CELL


def weight_columns(program: Program) -> int:
    """Cells of a word of weights."""
    array = program.config.array
    return -(-array.width * array.lanes * array.cols // CELL_BITS)


def weight_chunks(program: Program) -> list[bytes]:
    """CHUNK cells each, the lowest of a word first; the last chunk is filled up with zeros."""
    width, columns = program.config.array.width, weight_columns(program)
    codes = program.weights.reshape(len(program.weights), -1)
    bits = codes[:, :, None] >> np.arange(width) & 1
    flat = bits.reshape(len(codes), -1).astype(np.uint8)
    filled = np.pad(flat, ((0, 0), (0, columns * CELL_BITS - flat.shape[1])))
    text, size = np.packbits(filled, axis=1, bitorder="little").tobytes(), CELL * CHUNK
    return [text[start : start + size].ljust(size, b"\0") for start in range(0, len(text), size)]
