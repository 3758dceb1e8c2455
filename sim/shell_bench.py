"""The cocotb bench of an accelerator's IP block: cocotbext-axi's masters, sources and sinks in
front of its Verilog, a test for each scenario. Started inside the simulator by `sim.shell_run`."""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import (
    AxiBus,
    AxiLiteBus,
    AxiLiteMaster,
    AxiRam,
    AxiRamRead,
    AxiReadBus,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from golden.archive import load_arrays, write_whole

from .axi_bench import watch
from .job import JOB_VARIABLE, RESULTS

RESET, SELF_TEST, CLEAR = 1, 2, 4  # of CONTROL
LOAD = 8  # of CONTROL with an external memory
BUSY, TESTING, TESTED, PASSED, EARLY, LATE = 1, 2, 4, 8, 256, 512  # of STATUS
LOADED, UNKNOWN, FAILED = 1024, 2048, 4096  # of STATUS with an external memory
MALFORMED = 1 << 31  # of an answer
PERIOD = 10  # ns
MAPS = 0x7_0000_3000  # where maps lie in their external memory
BASE, APART = 0x1_2345_6000, 0x1000_0000  # of programs in the external memory
_results: dict[str, str] = {}


class Bench:
    """A clock, a reset, a source of packets, a sink of answers, and a master of registers.
    withdrawn: see `sim.axi_bench`."""

    def __init__(self, dut: object) -> None:
        job = load_arrays(os.environ[JOB_VARIABLE])
        facts = json.loads(str(job["facts"]))
        self.registers, self.constants = facts["registers"], facts["constants"]
        self.layer_cycles, self.image_cycles = facts["layer_cycles"], facts["image_cycles"]
        self.classes = job["classes"].tolist()
        self.random = random.Random(int(job["seed"]))
        self.dut = dut
        beat = len(dut.s_axis_tdata) // 8
        self.packets = [_bytes(words, facts["width"], beat) for words in job["words"]]
        self.beat = beat
        self.withdrawn = watch(dut)
        Clock(dut.aclk, PERIOD, "ns").start()
        wires = (dut.aclk, dut.aresetn)
        options = {"reset_active_level": False}
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), *wires, **options)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), *wires, **options)
        self.axi = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), *wires, **options)
        self.programs, self.ram = facts.get("programs", 0), None
        self.map_bytes = facts.get("map_bytes", 0)
        if self.programs:
            self.ram = AxiRamRead(
                AxiReadBus.from_prefix(dut, "m_axi"), *wires, **options, size=2**40
            )
            self._pause(self.ram.ar_channel, self.ram.r_channel)
            self._keep_programs(job, facts["width"])
        if hasattr(dut, "m_axi_maps_araddr"):
            maps = AxiBus.from_prefix(dut, "m_axi_maps")
            self.maps = AxiRam(maps, *wires, **options, size=2**40)
            reads, writes = self.maps.read_if, self.maps.write_if
            self._pause(reads.ar_channel, reads.r_channel)
            self._pause(writes.aw_channel, writes.w_channel, writes.b_channel)

    def _pause(self, *channels: object) -> None:
        for channel in channels:
            channel.set_pause_generator(self.pauses())

    def _keep_programs(self, job: dict[str, np.ndarray], width: int) -> None:
        """Each program's image in memory, and its packets and classes."""
        self.other_packets, self.other_classes = [], []
        for index in range(self.programs):
            ending = index or ""
            self.ram.write(base_of(index), job[f"image{ending}"].tobytes())
            words = job[f"words{ending}"]
            self.other_packets.append([_bytes(one, width, self.beat) for one in words])
            self.other_classes.append(job[f"classes{ending}"].tolist())

    async def reset(self) -> None:
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 3)
        self.dut.aresetn.value = 1
        await RisingEdge(self.dut.aclk)
        if self.programs:
            await self.load(0)

    async def load(self, index: int) -> int:
        """STATUS, once the program is there, or is found not to be one."""
        base = base_of(index)
        await self.write("BASE_LOW", base & 0xFFFFFFFF)
        await self.write("BASE_HIGH", base >> 32)
        if "MAPS_LOW" in self.registers:
            await self.write("MAPS_LOW", MAPS & 0xFFFFFFFF)
            await self.write("MAPS_HIGH", MAPS >> 32)
        await self.write("CONTROL", LOAD)
        return await self.until(LOADED | UNKNOWN, 1)

    async def send(self, packet: bytes) -> None:
        await self.source.send(AxiStreamFrame(packet))

    async def answer(self) -> int:
        """The next answer; each must be a packet of one beat."""
        frame = await with_timeout(self.sink.recv(), self._limit, "ns")
        assert len(frame.tdata) == 4, f"an answer of {len(frame.tdata)} bytes"
        return int.from_bytes(frame.tdata, "little")

    async def answers(self, count: int) -> list[int]:
        return [await self.answer() for _ in range(count)]

    @property
    def _limit(self) -> int:
        """Longer than any answer takes, in ns."""
        words = max(len(packet) for packet in self.packets) // self.beat
        return PERIOD * 20 * (self.image_cycles + words + 200)

    async def read(self, name: str, index: int = 0) -> int:
        return await self.axi.read_dword(self.registers[name] + 4 * index)

    async def write(self, name: str, value: int) -> None:
        await self.axi.write_dword(self.registers[name], value)

    async def until(self, bit: int, value: int) -> int:
        """STATUS, once this bit has this value."""
        for _ in range(self._limit // PERIOD):
            status = await self.read("STATUS")
            if bool(status & bit) == bool(value):
                return status
        raise AssertionError(f"STATUS stays 0x{status:X}")

    def pauses(self) -> Iterator[bool]:
        """A pause in about half of the cycles."""
        generator = random.Random(self.random.random())
        while True:
            yield generator.random() < 0.5


def base_of(index: int) -> int:
    return BASE + APART * index


def _bytes(words: np.ndarray, width: int, beat: int) -> bytes:
    """A packet of an image's words of codes."""
    return b"".join(
        sum(int(code) << (width * channel) for channel, code in enumerate(word)).to_bytes(
            beat, "little"
        )
        for word in words
    )


def scenario(play):
    """A cocotb test of this scenario, whose end is kept for `sim.shell_run`."""

    async def run(dut: object) -> None:
        bench, name = Bench(dut), play.__name__
        try:
            await bench.reset()
            await play(bench)
            assert bench.sink.empty(), "answers are left over"
            assert not bench.withdrawn, bench.withdrawn[0]
            _results[name] = "passed"
        except Exception as error:
            _results[name] = f"{type(error).__name__}: {error}"
            raise
        finally:
            folder = Path(os.environ[JOB_VARIABLE]).parent
            write_whole(folder / RESULTS, json.dumps(_results, indent=1).encode())

    run.__name__ = run.__qualname__ = play.__name__
    return cocotb.test()(run)


@scenario
async def images_back_to_back_are_classified(bench: Bench) -> None:
    for packet in bench.packets:
        await bench.send(packet)
    assert await bench.answers(len(bench.packets)) == bench.classes


@scenario
async def pauses_on_both_sides_change_no_answer(bench: Bench) -> None:
    bench.source.set_pause_generator(bench.pauses())
    bench.sink.set_pause_generator(bench.pauses())
    for packet in bench.packets:
        await bench.send(packet)
    assert await bench.answers(len(bench.packets)) == bench.classes
    assert await bench.read("IMAGES") == len(bench.packets)


@scenario
async def an_answer_that_is_not_taken_waits(bench: Bench) -> None:
    bench.sink.pause = True
    for packet in bench.packets * 2:
        await bench.send(packet)
    await ClockCycles(bench.dut.aclk, 3 * bench.image_cycles + 3 * len(bench.packets[0]))
    assert await bench.read("STALLED") > 0
    bench.sink.pause = False
    assert await bench.answers(2 * len(bench.packets)) == bench.classes * 2


@scenario
async def registers_say_what_the_hardware_is(bench: Bench) -> None:
    for name, value in bench.constants.items():
        assert await bench.read(name) == value, name
    for offset in (0x100, 0xFFC):
        assert (await bench.axi.read(offset, 4)).resp == AxiResp.SLVERR
        assert (await bench.axi.write(offset, bytes(4))).resp == AxiResp.SLVERR
    assert (await bench.axi.write(bench.registers["ID"], bytes(4))).resp == AxiResp.SLVERR
    assert (await bench.axi.read(bench.registers["CONTROL"], 4)).resp == AxiResp.SLVERR


@scenario
async def registers_count_images_and_the_cycles_of_each_layer(bench: Bench) -> None:
    for packet in bench.packets:
        await bench.send(packet)
    await bench.answers(len(bench.packets))
    await bench.until(BUSY, 0)
    assert await bench.read("IMAGES") == len(bench.packets)
    if not bench.programs:
        assert await bench.read("IMAGE_CYCLES") == bench.image_cycles
    layers = [await bench.read("LAYER_CYCLES", index) for index in range(len(bench.layer_cycles))]
    if not bench.programs:  # else there are cycles in which the program was waited for
        assert layers == bench.layer_cycles
    assert sum(layers) == await bench.read("IMAGE_CYCLES")
    await bench.write("CONTROL", CLEAR)
    assert await bench.read("IMAGES") == 0 == await bench.read("STALLED")


@scenario
async def a_packet_that_ends_early_is_answered_as_malformed(bench: Bench) -> None:
    good = bench.packets[0]
    for words in (1, len(good) // bench.beat // 2, len(good) // bench.beat - 1):
        await bench.send(good[: words * bench.beat])
        await bench.send(good)
        assert await bench.answer() & MALFORMED
        assert await bench.answer() == bench.classes[0]
    status = await bench.read("STATUS")
    assert status & EARLY and not status & LATE
    assert await bench.read("REFUSED") == 3
    await bench.write("STATUS", EARLY)
    assert not await bench.read("STATUS") & EARLY


@scenario
async def a_packet_that_ends_late_is_answered_as_malformed(bench: Bench) -> None:
    good = bench.packets[0]
    for more in (1, 2, 3 * len(good) // bench.beat):
        await bench.send(good + bytes(more * bench.beat))
        await bench.send(good)
        assert await bench.answer() & MALFORMED
        assert await bench.answer() == bench.classes[0]
    status = await bench.read("STATUS")
    assert status & LATE and not status & EARLY
    await bench.write("STATUS", LATE)
    assert not await bench.read("STATUS") & LATE


@scenario
async def after_a_reset_by_register_images_are_right_again(bench: Bench) -> None:
    whole = len(bench.packets[0]) // bench.beat
    for cycles in (whole // 2, whole + bench.image_cycles // 2):
        await bench.send(bench.packets[0])
        await ClockCycles(bench.dut.aclk, cycles)
        await bench.write("CONTROL", RESET)
        await bench.send(bench.packets[-1])
        assert await bench.answer() == bench.classes[-1]
        assert await bench.read("IMAGES") == 1


@scenario
async def after_a_reset_in_mid_image_images_are_right_again(bench: Bench) -> None:
    whole = len(bench.packets[0]) // bench.beat
    for cycles in (whole // 2, whole + bench.image_cycles // 2):
        await bench.send(bench.packets[0])
        await ClockCycles(bench.dut.aclk, cycles)
        await bench.reset()
        await bench.send(bench.packets[-1])
        assert await bench.answer() == bench.classes[-1]


@scenario
async def one_write_runs_the_self_test(bench: Bench) -> None:
    await bench.write("CONTROL", SELF_TEST)
    status = await bench.until(TESTING, 0)
    assert status & TESTED and status & PASSED
    assert await bench.read("IMAGES") == len(bench.packets)


@scenario
async def a_self_test_waits_for_images_and_images_for_it(bench: Bench) -> None:
    for packet in bench.packets:
        await bench.send(packet)
    await ClockCycles(bench.dut.aclk, len(bench.packets[0]) // bench.beat // 2)
    await bench.write("CONTROL", SELF_TEST)
    for packet in bench.packets:
        await bench.send(packet)
    assert await bench.answers(2 * len(bench.packets)) == bench.classes * 2
    status = await bench.until(TESTING, 0)
    assert status & TESTED and status & PASSED
    assert await bench.read("IMAGES") == 3 * len(bench.packets)


@scenario
async def after_a_reset_in_the_self_test_packets_are_whole(bench: Bench) -> None:
    for cycles in (1, len(bench.packets[0]) // bench.beat // 2, bench.image_cycles):
        await bench.write("CONTROL", SELF_TEST)
        await ClockCycles(bench.dut.aclk, cycles)
        await bench.write("CONTROL", RESET)
        assert not await bench.read("STATUS") & (BUSY | TESTING)
        for packet in bench.packets:
            await bench.send(packet)
        assert await bench.answers(len(bench.packets)) == bench.classes
