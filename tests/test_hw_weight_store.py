"""Weights that come over the serial line: the store, and a board with it."""

import struct

import numpy as np
import pytest
from amaranth.sim import Simulator

from golden import reference
from hw.accelerator_config import AcceleratorConfig
from hw.config import ArrayConfig
from hw.link.device import SerialAccelerator
from hw.link.protocol import (
    ANSWER,
    BAD_ORDER,
    CLASSIFY,
    LOAD,
    NOT_LOADED,
    REFUSAL,
    RESULT,
    Frame,
    FrameReader,
)
from hw.link.weight_cells import weight_chunks, weight_columns
from hw.link.weight_store import WeightStore, fits_spram
from hw.program import compile_model
from sim.generated_models import generated_codes, generated_model

LAYERS = [{"out_channels": 12, "kernel": (2, 2)}, {"out_channels": 7, "flatten": True}]
MODEL = generated_model("adder", (1, 3, 3), LAYERS, width=5)


def program_of(**array):
    sizes = {"rows": 3, "cols": 3, "lanes": 2, "positions": 16} | array
    config = ArrayConfig(pe="complement", width=5, dataflow="weight-stationary", **sizes)
    words = {"activation_words": 32, "weight_words": 128, "constant_words": 8}
    return compile_model(MODEL, AcceleratorConfig(array=config, **words))


PROGRAM = program_of()
CHUNKS = weight_chunks(PROGRAM)


def packed(word):
    """A word of weights as one number."""
    return sum(int(code) % 32 << 5 * place for place, code in enumerate(word.reshape(-1)))


def test_cells_are_the_words_bits():
    cells = np.frombuffer(b"".join(CHUNKS), "<u2").reshape(-1)[: 2 * len(PROGRAM.weights)]
    assert weight_columns(PROGRAM) == 2 and len(CHUNKS) == 3
    words = [int(low) | int(high) << 16 for low, high in cells.reshape(-1, 2)]
    assert words == [packed(word) for word in PROGRAM.weights]


def after_chunks(chunks, program=PROGRAM):
    """What a store wants, is, and holds after (number, chunk, whether it was undamaged)."""
    dut, wanted, words = WeightStore(program), [], []

    async def bench(ctx):
        for number, chunk, whole in chunks:
            ctx.set(dut.number, number)
            await ctx.tick()
            await pulse(ctx, dut.starts)
            for cell in np.frombuffer(chunk, "<u2"):
                ctx.set(dut.cell, int(cell))
                await pulse(ctx, dut.write)
            wanted.append(ctx.get(dut.wanted))
            if whole:
                await pulse(ctx, dut.ends)
        for place in range(len(program.weights)):
            ctx.set(dut.address, place)
            await ctx.tick()
            words.append(ctx.get(dut.word))
        wanted.append(ctx.get(dut.loaded))

    async def pulse(ctx, signal):
        ctx.set(signal, 1)
        await ctx.tick()
        ctx.set(signal, 0)

    simulated(dut, bench)
    return wanted, words


def simulated(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


NUMBERED = [(number, chunk, True) for number, chunk in enumerate(CHUNKS)]
WRONG = b"\xff" * len(CHUNKS[0])


@pytest.mark.parametrize(
    ("chunks", "wanted"),
    [
        (NUMBERED, [1, 1, 1]),
        ([NUMBERED[0], NUMBERED[0], *NUMBERED[1:], NUMBERED[2]], [1, 1, 1, 1, 1]),
        ([NUMBERED[0], (1, WRONG, False), *NUMBERED[1:]], [1, 1, 1, 1]),
        ([NUMBERED[0], (2, WRONG, True), *NUMBERED[1:]], [1, 0, 1, 1]),
        ([*NUMBERED[:2], (0, WRONG, False), NUMBERED[2], *NUMBERED], [1, 1, 1, 0, 1, 1, 1]),
    ],
    ids=["in order", "repeated", "damaged", "too early", "number damaged"],
)
def test_chunks_fill_the_store_whatever_came_between(chunks, wanted):
    found, words = after_chunks(chunks)
    assert found == [*wanted, 1]
    assert words == [packed(word) for word in PROGRAM.weights]


def test_a_full_store_keeps_its_words_when_the_last_chunk_comes_again():
    program = program_of(rows=4, cols=4, lanes=1)
    chunks = [(number, chunk, True) for number, chunk in enumerate(weight_chunks(program))]
    _, words = after_chunks([*chunks, chunks[-1]], program)
    assert words == [packed(word) for word in program.weights]


def test_a_store_that_begins_anew_is_not_loaded():
    assert after_chunks([*NUMBERED, (0, WRONG, False)])[0] == [1, 1, 1, 1, 0]


def test_single_port_ram_holds_words_of_four_cells():
    assert fits_spram(program_of(rows=3, cols=3, lanes=4))
    assert not fits_spram(program_of(rows=3, cols=3, lanes=6))


@pytest.mark.slow
def test_a_board_classifies_once_it_has_its_weights():
    images = generated_codes(MODEL, 1)
    (wanted,) = reference.run(MODEL, images)[-1].codes_out.reshape(1, -1).argmax(1)
    pixels = PROGRAM.image_words(images[0]).astype(object)
    size = -(-PROGRAM.word_bits // 8)
    numbers = [sum(int(c) << 5 * place for place, c in enumerate(word)) for word in pixels]
    asked = Frame(
        number=9, kind=CLASSIFY, payload=b"".join(n.to_bytes(size, "little") for n in numbers)
    )
    loads = [
        Frame(number=n, kind=LOAD, payload=struct.pack("<H", n) + chunk)
        for n, chunk in enumerate(CHUNKS)
    ]
    answers = answers_to([asked, loads[1], *loads, asked])
    cycles = PROGRAM.cycles - PROGRAM.image.words
    assert answers == [
        (9, REFUSAL, bytes([NOT_LOADED])),
        (1, REFUSAL, bytes([BAD_ORDER])),
        *((n, LOAD + ANSWER, b"") for n in range(len(CHUNKS))),
        (9, CLASSIFY + ANSWER, RESULT.pack(wanted, cycles)),
    ]


def answers_to(frames):
    """Frames that a board sends back, each asked after the answer to the one before. The bytes go
    past the line's bits, which other tests are about."""
    dut = SerialAccelerator(PROGRAM, 4, WeightStore(PROGRAM))
    reader, answers = FrameReader(), []

    async def bench(ctx):
        for frame in frames:
            wire = [bit for byte in frame.encode() for bit in (0, *bits(byte), 1)]
            heard = []
            for cycle in range(4 * len(wire) + 3200):
                ctx.set(dut.rx, wire[cycle // 4] if cycle < 4 * len(wire) else 1)
                heard.append(ctx.get(dut.tx))
                await ctx.tick()
            answers.extend(reader.add(sent(heard)))

    simulated(dut, bench)
    return [(answer.number, answer.kind, answer.payload) for answer in answers]


def bits(byte):
    return [byte >> place & 1 for place in range(8)]


def sent(wire):
    found, at = bytearray(), 0
    while 0 in wire[at:]:
        at = wire.index(0, at) + 2
        found.append(sum(wire[at + 4 * place + 4] << place for place in range(8)))
        at += 36
    return bytes(found)
