"""The serial link in Amaranth's simulator: bytes, frames, and an accelerator behind them."""

import random

import numpy as np
import pytest
from amaranth.sim import Simulator

from golden import reference
from hw.accelerator_config import AcceleratorConfig
from hw.config import ArrayConfig
from hw.link.description import description
from hw.link.device import SerialAccelerator
from hw.link.protocol import (
    ANSWER,
    BAD_CRC,
    BAD_KIND,
    BAD_LENGTH,
    CLASSIFY,
    DESCRIBE,
    REFUSAL,
    RESULT,
    SILENCE,
    SYNC,
    Description,
    Frame,
    FrameReader,
    crc,
)
from hw.link.uart import UartReceiver, UartTransmitter, divisor_of
from hw.program import compile_model
from sim.generated_models import generated_codes, generated_model

DIVISOR = 4


def program_of():
    model = generated_model("adder", (1, 2, 2), [{"out_channels": 3, "flatten": True}])
    array = ArrayConfig(pe="complement", rows=2, cols=2, lanes=2, dataflow="weight-stationary")
    sizes = {"activation_words": 32, "weight_words": 64, "constant_words": 4}
    return model, compile_model(model, AcceleratorConfig(array=array, **sizes))


MODEL, PROGRAM = program_of()
CODES = generated_codes(MODEL, 2)
CLASSES = reference.run(MODEL, CODES)[-1].codes_out.reshape(2, -1).argmax(1).tolist()


def image_bytes(image):
    return PROGRAM.image_words(image).astype(np.uint8).tobytes()


def line(byte, divisor=DIVISOR, stop=1):
    """The wire's values while a byte is sent, cycle by cycle."""
    bits = (0, *(byte >> place & 1 for place in range(8)), stop)
    return [bit for bit in bits for _ in range(divisor)]


def bytes_on(wire, divisor=DIVISOR):
    """The bytes that a wire's values are."""
    found, at = [], 0
    while 0 in wire[at:]:
        at = wire.index(0, at) + divisor // 2
        bits = [wire[at + place * divisor] for place in range(10)]
        assert bits[0] == 0 and bits[9] == 1
        found.append(sum(bit << place for place, bit in enumerate(bits[1:9])))
        at += 9 * divisor
    return found


def simulated(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def received(wire, divisor):
    dut, heard = UartReceiver(divisor), []

    async def bench(ctx):
        ctx.set(dut.o_byte.ready, 1)
        for value in wire + [1] * 2 * divisor:
            ctx.set(dut.rx, value)
            if ctx.get(dut.o_byte.valid):
                heard.append(ctx.get(dut.o_byte.payload))
            await ctx.tick()

    simulated(dut, bench)
    return heard


BYTES = [0, 255, 0x55, 0xAA, 1, 128]


@pytest.mark.parametrize(
    ("divisor", "senders"), [(4, 4), (16, 16), (17, 17), (100, 97), (100, 103)]
)
def test_bytes_are_received_from_a_clock_that_is_a_little_off(divisor, senders):
    assert received([v for byte in BYTES for v in line(byte, senders)], divisor) == BYTES


def test_a_byte_without_stop_bit_and_a_spike_are_dropped():
    wire = line(0x42, stop=0) + [1] * 60 + [0] + [1] * 60 + line(0x43)
    assert received(wire, DIVISOR) == [0x43]


def test_bytes_are_sent_one_after_the_other():
    dut, wire, sent = UartTransmitter(DIVISOR), [], list(BYTES)

    async def bench(ctx):
        for _ in range(12 * DIVISOR * len(BYTES)):
            ctx.set(dut.i_byte.valid, int(bool(sent)))
            ctx.set(dut.i_byte.payload, sent[0] if sent else 0)
            wire.append(ctx.get(dut.tx))
            if sent and ctx.get(dut.i_byte.ready):
                sent.pop(0)
            await ctx.tick()

    simulated(dut, bench)
    assert bytes_on(wire) == BYTES


@pytest.mark.parametrize(
    ("clock_mhz", "baud", "message"),
    [
        (12, 4_000_000, "at least 4 clock cycles, not 3; choose a lower baud rate than 4000000"),
        (12, 2_700_000, "must divide the clock, 12 MHz, to 2 %: a bit of 4.44 cycles"),
    ],
)
def test_a_baud_rate_that_the_clock_cannot_make_is_refused(clock_mhz, baud, message):
    with pytest.raises(ValueError, match=message):
        divisor_of(clock_mhz, baud)
    assert divisor_of(12, 3_000_000) == 4 and divisor_of(25, 115_200) == 217


def answers_to(*chunks, wait=3000):
    """The frames that an accelerator sends back; a number among the chunks is cycles of silence."""
    dut, sent, wire = SerialAccelerator(PROGRAM, DIVISOR), [1] * 20, []
    for chunk in (*chunks, wait):
        silence = isinstance(chunk, int)
        sent += [1] * chunk if silence else [v for byte in chunk for v in line(byte)]

    async def bench(ctx):
        for value in sent:
            ctx.set(dut.rx, value)
            wire.append(ctx.get(dut.tx))
            await ctx.tick()

    simulated(dut, bench)
    heard = bytes(bytes_on(wire))
    frames = FrameReader().add(heard)
    assert sum(len(frame.encode()) for frame in frames) == len(heard)
    return [(frame.number, frame.kind, frame.payload) for frame in frames]


def asked(number, image):
    return Frame(number=number, kind=CLASSIFY, payload=image_bytes(image)).encode()


def answered(number, image_class):
    cycles = PROGRAM.cycles - PROGRAM.image.words
    return number, CLASSIFY + ANSWER, RESULT.pack(image_class, cycles)


def test_a_board_says_what_it_is():
    ((number, kind, payload),) = answers_to(Frame(number=7, kind=DESCRIBE).encode(), wait=1500)
    assert (number, kind) == (7, DESCRIBE + ANSWER)
    assert Description.decode(payload) == description(PROGRAM)


@pytest.mark.slow
def test_images_are_classified_one_after_the_other():
    found = answers_to(asked(1, CODES[0]), 600, asked(2, CODES[1]), wait=600)
    assert found == [answered(1, CLASSES[0]), answered(2, CLASSES[1])]


GOOD = asked(3, CODES[0])
FLIPPED = bytearray(GOOD)
FLIPPED[9] ^= 16
UNKNOWN = Frame(number=3, kind=9, payload=b"abc").encode()
SHORT = Frame(number=3, kind=CLASSIFY, payload=b"abc").encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (bytes(FLIPPED), BAD_CRC),
        (GOOD[:9] + GOOD[10:], SILENCE),
        (GOOD[:9] + GOOD[8:], BAD_CRC),
        (GOOD[:-1], SILENCE),
        (GOOD[:3], SILENCE),
        (UNKNOWN, BAD_KIND),
        (SHORT, BAD_LENGTH),
    ],
    ids=["flipped", "lost", "repeated", "end lost", "broken off", "unknown", "short"],
)
def test_a_broken_frame_is_refused_and_the_next_one_answered(broken, reason):
    found = answers_to(broken, 1200, asked(4, CODES[1]), wait=600)
    assert [frame[1:] for frame in found[:-1]] == [(REFUSAL, bytes([reason]))]
    assert found[-1] == answered(4, CLASSES[1])


@pytest.mark.slow
def test_noise_before_a_frame_is_passed_over():
    noise = bytes(byte for byte in random.Random(0).randbytes(30) if byte != SYNC)
    assert answers_to(noise, asked(5, CODES[0]), wait=600) == [answered(5, CLASSES[0])]


def test_frames_are_found_among_other_bytes():
    frames = [Frame(number=n, kind=n + 1, payload=bytes(range(n * 3))) for n in range(4)]
    rng, text = random.Random(1), b""
    for frame in frames:
        text += rng.randbytes(5) + bytes([SYNC, 1, 2]) + frame.encode()
    reader = FrameReader()
    found = [frame for byte in text + bytes(2000) for frame in reader.add(bytes([byte]))]
    assert found == frames


def test_the_checksum_is_the_catalogs():
    assert crc(b"123456789") == bytes([0x31, 0xC3])  # of CRC-16/XMODEM
