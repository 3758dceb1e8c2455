"""A program as bytes of an external memory, in the formats of the hardware that reads it.

A header on the first page of 4 KiB; from the second on the tables, as `hw.external.loader` takes
them; from a page behind them on the weights, in the order in which the array takes them. A word
fills whole beats, its lowest bits first. Numbers are little-endian.
"""

import hashlib
from collections.abc import Iterable
from math import ceil

import numpy as np
from amaranth.lib.data import Layout, StructLayout

from ..formats import Formats, settings_values
from ..layer_table import layer_values
from ..program import Program
from ..program_hash import program_hash
from ..requantize import constant_values
from .axi import PAGE
from .loader import Section, word_beats

MAGIC = 0x58464441  # "ADFX"
VERSION = 1
HEADER = StructLayout(
    {
        "magic": 32,
        "version": 32,
        "hardware": 64,
        "program": 64,
        "table_beats": 32,
        "weight_page": 32,
        "weight_beats": 32,
        "unused": 224,
    }
)


def program_image(program: Program, formats: Formats) -> bytes:
    """What an external memory must hold from a multiple of 4096 on for the hardware of these
    formats to run the program. ValueError when it cannot."""
    formats.check(program)
    tables, weights = _tables(program, formats), _weights(program)
    beat = program.config.external_width // 8
    weight_page = 1 + ceil(len(tables) / PAGE)
    header = {
        "magic": MAGIC,
        "version": VERSION,
        "hardware": int(hardware_hash(formats), 16),
        "program": int(program_hash(program), 16),
        "table_beats": len(tables) // beat,
        "weight_page": weight_page,
        "weight_beats": len(weights) // beat,
    }
    parts = _packed(HEADER, [header], HEADER.size // 8), tables
    pages = b"".join(part.ljust(ceil(len(part) / PAGE) * PAGE, b"\0") for part in parts)
    return pages + weights


def program_beats(program: Program, formats: Formats) -> tuple[list[int], list[int]]:
    """The beats that come before the weights, and those of the weights."""
    formats.check(program)
    beat = program.config.external_width // 8
    tables, weights = (
        [int.from_bytes(part[at : at + beat], "little") for at in range(0, len(part), beat)]
        for part in (_tables(program, formats), _weights(program))
    )
    return tables, weights


def image_map(program: Program, formats: Formats) -> str:
    """A table of where everything lies in the image."""
    beat, beats = program.config.external_width // 8, word_beats(formats)
    counts = {
        Section.SETTINGS: 1,
        Section.LAYERS: len(program.layers),
        Section.CONSTANTS: len(program.constants.offset),
        Section.WEIGHTS: sum(layer.weight_words for layer in program.layers),
    }
    lines = [f"{'external memory':16} {'from':>12} {'words':>10} {'bytes a word':>14}"]
    lines += [f"{'header':16} {0:#12x} {1:10} {HEADER.size // 8:14}"]
    at = PAGE
    for section, count in counts.items():
        if section is Section.WEIGHTS:
            at = ceil(at / PAGE) * PAGE
        size = beats[section] * beat
        lines.append(f"{section.name.lower():16} {at:#12x} {count:10} {size:14}")
        at += count * size
    lines.append(f"{'end':16} {at:#12x}")
    if program.maps:
        words = sum(place.words for place in program.maps.values())
        lines += ["", f"maps take {words} words of {program.config.map_beats * beat} bytes"]
    return "\n".join(lines)


def hardware_hash(formats: Formats) -> str:
    """16 hexadecimal digits that name the hardware."""
    text = repr((formats.config, formats.facts))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _tables(program: Program, formats: Formats) -> bytes:
    beat, beats = program.config.external_width // 8, word_beats(formats)
    layers = [layer_values(layer, formats.layer) for layer in program.layers]
    filters = constant_values(program.constants, program.config.requantize)
    sections = {
        Section.SETTINGS: (formats.settings, [settings_values(program)]),
        Section.LAYERS: (formats.layer, layers),
        Section.CONSTANTS: (formats.constant, filters),
    }
    return b"".join(
        _packed(layout, values, beats[section] * beat)
        for section, (layout, values) in sections.items()
    )


def _packed(layout: Layout, values: Iterable, size: int) -> bytes:
    """Each value of this layout in `size` bytes."""
    return b"".join(layout.const(one).as_value().value.to_bytes(size, "little") for one in values)


def _weights(program: Program) -> bytes:
    array, config = program.config.array, program.config
    firsts = ((one.weight_base, one.weight_words) for one in program.layers)
    words = np.concatenate([program.weights[first : first + count] for first, count in firsts])
    numbers = words.reshape(len(words), -1) % 2**array.width
    bits = (numbers[:, :, None] >> np.arange(array.width) & 1).astype(bool)
    packed = np.packbits(bits.reshape(len(bits), -1), axis=1, bitorder="little")
    size = config.word_beats * config.external_width // 8
    return np.pad(packed, ((0, 0), (0, size - packed.shape[1]))).tobytes()
