"""The cocotb bench of an array: runs inside the simulator, started by `sim.runner`.

Every matrix form of the job is streamed in as `hw.schedule` says, every valid row of sums is
collected with its cycle, and compared with the sums that the job expects.
"""

import os
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from hw.config import ArrayConfig
from hw.schedule import Schedule, pack, unpack

from .job import JOB_VARIABLE, FormResult, read_job, write_results
from .workload import MatrixForm


class Bench:
    """Source and monitor. Drives after the falling edge, so that what it reads at the next one is
    the settled value after the rising edge between them."""

    def __init__(self, dut: object, config: ArrayConfig):
        self.dut, self.config = dut, config

    async def reset(self) -> None:
        """Zeros at the operands and `rst` for as long as `SystolicArray` asks."""
        self._drive(0, 0, 0)
        self.dut.rst.value = 1
        for _ in range(self.config.rows + self.config.cols):
            await FallingEdge(self.dut.clk)
        self.dut.rst.value = 0

    async def stream(self, schedule: Schedule, form: MatrixForm) -> tuple[list[int], int]:
        """Give the operands, collect the rows of sums; returns them and the cycles taken."""
        a_stream, w_stream, last = schedule.operands(form.activations, form.weights)
        a, w = pack(a_stream, self.config.width), pack(w_stream, self.config.width)
        words: list[int] = []
        cycle = 0
        while len(words) < schedule.rows_out and cycle < 2 * schedule.cycles:
            if cycle < len(last):
                self._drive(a[cycle], w[cycle], int(last[cycle]))
            elif cycle == len(last):
                self._drive(0, 0, 0)
            await FallingEdge(self.dut.clk)
            cycle += 1
            if self.dut.valid.value:
                words.append(self.dut.sums.value.to_unsigned())
        return words, cycle + 1

    async def drain(self, schedule: Schedule) -> int:
        """Let the array run empty; returns how many more rows came out."""
        self._drive(0, 0, 0)
        count = 0
        for _ in range(schedule.empty_cycles):
            await FallingEdge(self.dut.clk)
            count += int(self.dut.valid.value)
        return count

    def _drive(self, a: int, w: int, last: int) -> None:
        self.dut.a.value, self.dut.w.value, self.dut.last.value = a, w, last


async def check_form(bench: Bench, form: MatrixForm) -> FormResult:
    config = bench.config
    schedule = Schedule(shape=form.shape, config=config)
    words, cycles = await bench.stream(schedule, form)
    unused = await bench.drain(schedule)
    sums = schedule.results(unpack(words, config.cols, config.acc_width, config.acc_signed))
    wrong = np.argwhere(sums != form.sums)
    first = None
    if len(wrong):
        row, col = (int(index) for index in wrong[0])
        first = (row, col, int(form.sums[row, col]), int(sums[row, col]))
    return FormResult(
        name=form.name,
        shape=form.shape,
        compared=sums.size,
        mismatches=len(wrong),
        first_mismatch=first,
        cycles=cycles,
        predicted_cycles=schedule.cycles,
        leftover_rows=unused - schedule.rows_unused,
    )


@cocotb.test()
async def every_sum_equals_the_reference(dut: object) -> None:
    path = Path(os.environ[JOB_VARIABLE])
    config, forms = read_job(path)
    bench = Bench(dut, config)
    Clock(dut.clk, 10, "ns").start()
    await bench.reset()
    results = [await check_form(bench, form) for form in forms]
    write_results(path.parent, results)
    failed = [result for result in results if not result.passed]
    assert not failed, failed
