"""The cocotb bench of an IP block with an external memory: scenarios beside those of
`sim.shell_bench`, in front of cocotbext-axi's memory, which pauses in half of all cycles."""

from cocotb.triggers import ClockCycles

from .shell_bench import (
    BUSY,
    CLEAR,
    FAILED,
    LOADED,
    MALFORMED,
    PASSED,
    RESET,
    SELF_TEST,
    TESTING,
    UNKNOWN,
    Bench,
    base_of,
    scenario,
)

UNSOUND = 1 << 30  # of an answer


async def classified(bench: Bench, index: int) -> None:
    """Every image of a program that is loaded, back to back."""
    for packet in bench.other_packets[index]:
        await bench.send(packet)
    count = len(bench.other_packets[index])
    assert await bench.answers(count) == bench.other_classes[index]


@scenario
async def cycles_are_the_predicted_ones_and_those_of_waiting(bench: Bench) -> None:
    await ClockCycles(bench.dut.aclk, 2000)
    for packet in bench.packets[:1]:
        await bench.write("CONTROL", CLEAR)
        await bench.send(packet)
        await bench.answer()
        waited = await bench.read("STARVED")
        assert await bench.read("IMAGE_CYCLES") == bench.image_cycles + waited


@scenario
async def programs_take_each_others_place(bench: Bench) -> None:
    for index in (*range(bench.programs), *reversed(range(bench.programs))):
        status = await bench.load(index)
        assert status & LOADED and not status & (UNKNOWN | FAILED)
        words = len(bench.other_packets[index][0]) // bench.beat
        assert await bench.read("IMAGE_WORDS") == words
        await classified(bench, index)


@scenario
async def a_program_takes_the_place_of_one_that_runs(bench: Bench) -> None:
    index, words = bench.programs - 1, len(bench.packets[0]) // bench.beat
    for cycles in (words // 2, words + 50, words + bench.image_cycles):
        await bench.load(0)
        await bench.send(bench.packets[0])
        await ClockCycles(bench.dut.aclk, cycles)
        await bench.load(index)
        await ClockCycles(bench.dut.aclk, 4)
        while not bench.sink.empty():  # of the program before
            bench.sink.recv_nowait()
        await classified(bench, index)


@scenario
async def what_is_no_program_for_this_hardware_is_found_out(bench: Bench) -> None:
    nowhere = bench.programs
    right = bench.ram.read(base_of(0), 64)
    for byte in (0, 4, 8, 15):
        wrong = bytearray(right)
        wrong[byte] ^= 1
        bench.ram.write(base_of(nowhere), bytes(wrong))
        status = await bench.load(nowhere)
        assert status & UNKNOWN and not status & (LOADED | FAILED)
    status = await bench.load(0)
    assert status & LOADED and not status & UNKNOWN
    await classified(bench, 0)


@scenario
async def reads_that_fail_are_told(bench: Bench) -> None:
    page, read = bench.ram.read(base_of(0) + 28, 4), bench.ram._read
    weights = base_of(0) + 4096 * int.from_bytes(page, "little")

    def failing(first: int):
        async def read_or_fail(address: int, length: int) -> bytes:
            if address >= first:
                raise ValueError("no memory there")
            return await read(address, length)

        return read_or_fail

    bench.ram._read = failing(weights + 8 * bench.beat)
    assert await bench.load(0) & LOADED
    await bench.send(bench.packets[0])
    assert await bench.answer() & (UNSOUND | MALFORMED) == UNSOUND
    assert await bench.read("STATUS") & FAILED
    bench.ram._read = failing(base_of(0) + 8)
    status = await bench.load(0)
    assert status & UNKNOWN and status & FAILED
    bench.ram._read = read
    assert not await bench.load(0) & (UNKNOWN | FAILED)
    await classified(bench, 0)


@scenario
async def writes_that_fail_are_told(bench: Bench) -> None:
    if "MAPS_LOW" not in bench.registers:
        return
    writes = bench.maps.write_if
    write = writes._write

    async def fail(address: int, data: bytes) -> None:
        raise ValueError("no memory there")

    writes._write = fail
    assert await bench.load(0) & LOADED
    await bench.send(bench.packets[0])
    assert await bench.answer() & (UNSOUND | MALFORMED) == UNSOUND
    writes._write = write
    assert not await bench.load(0) & FAILED
    await classified(bench, 0)


@scenario
async def a_reset_in_any_cycle_of_an_image_withdraws_nothing(bench: Bench) -> None:
    for cycles in range(12):
        await bench.send(bench.packets[0])
        await bench.until(BUSY, 1)
        await ClockCycles(bench.dut.aclk, cycles)
        await bench.write("CONTROL", RESET)
        await bench.send(bench.packets[-1])
        assert await bench.answer() == bench.classes[-1]


@scenario
async def a_self_test_in_any_cycle_of_an_image_withdraws_nothing(bench: Bench) -> None:
    for cycles in range(12):
        await bench.send(bench.packets[0])
        await ClockCycles(bench.dut.aclk, cycles)
        await bench.write("CONTROL", SELF_TEST)
        assert await bench.answer() == bench.classes[0]
        assert await bench.until(TESTING, 0) & PASSED
