"""The cocotb bench of an array: runs inside the simulator, started by `sim.runner`.

Every matrix form of the job is streamed in as `hw.schedule` says, every valid row of sums is
collected with its cycle, and compared with the sums that the job expects.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from hw.config import ArrayConfig
from hw.schedule import Schedule, WeightSchedule, plan, unpack, words

from .job import JOB_VARIABLE, FormResult, read_job, write_results
from .workload import MatrixForm


class Bench:
    """Source and monitor. Drives after the falling edge, so that what it reads at the next one is
    the settled value after the rising edge between them."""

    def __init__(self, dut: object, config: ArrayConfig):
        self.dut, self.config = dut, config
        self._zeros = dict.fromkeys(plan((1, 1, 1), config).ports, 0)

    async def reset(self) -> None:
        """Zeros at all other inputs and `rst` for as long as `SystolicArray` asks."""
        self._drive(self._zeros)
        self.dut.rst.value = 1
        for _ in range(self.config.rows + self.config.cols):
            await FallingEdge(self.dut.clk)
        self.dut.rst.value = 0

    async def stream(
        self, schedule: Schedule | WeightSchedule, form: MatrixForm
    ) -> tuple[list[int], int]:
        """Give the operands, collect the rows of sums; returns them and the cycles taken."""
        streams = words(schedule.operands(form.activations, form.weights), self.config.width)
        inputs = [
            dict(zip(streams, row, strict=True)) for row in zip(*streams.values(), strict=True)
        ]
        rows: list[int] = []
        cycle = 0
        while len(rows) < schedule.rows_out and cycle < 2 * schedule.cycles:
            if cycle <= len(inputs):
                self._drive(inputs[cycle] if cycle < len(inputs) else self._zeros)
            await FallingEdge(self.dut.clk)
            cycle += 1
            if self.dut.valid.value:
                rows.append(self.dut.sums.value.to_unsigned())
        return rows, cycle + 1

    async def drain(self, schedule: Schedule | WeightSchedule) -> int:
        """Let the array run empty; returns how many more rows came out."""
        self._drive(self._zeros)
        count = 0
        for _ in range(schedule.empty_cycles):
            await FallingEdge(self.dut.clk)
            count += int(self.dut.valid.value)
        return count

    def _drive(self, inputs: Mapping[str, int]) -> None:
        for name, value in inputs.items():
            getattr(self.dut, name).value = value


async def check_form(bench: Bench, form: MatrixForm) -> FormResult:
    config = bench.config
    schedule = plan(form.shape, config)
    rows, cycles = await bench.stream(schedule, form)
    unused = await bench.drain(schedule)
    sums = schedule.results(unpack(rows, config.cols, config.acc_width, config.acc_signed))
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
