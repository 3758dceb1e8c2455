"""The cocotb bench that puts a simulated accelerator behind a pseudo-terminal; started inside the
simulator by `sim.link_run`."""

import json
import os
import pty
import random
import time
import tty
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from golden.archive import write_whole

from .job import JOB_VARIABLE, RESULTS
from .link_run import PORT, STOP

PERIOD = 10  # ns
IDLE = 0.002  # seconds that an idle line sleeps, so that it does not take a core


class Line:
    """Bytes between a pseudo-terminal and the DUT, some of them spoilt on the way."""

    def __init__(self, dut: object, job: dict) -> None:
        self.dut, self.bit = dut, job["divisor"] * PERIOD
        self.faults, self.random = job["faults"], random.Random(job["seed"])
        self.counts = {"to": 0, "from": 0, "spoilt": 0}
        self.end, other = pty.openpty()
        tty.setraw(other)
        os.set_blocking(self.end, False)
        self.port = os.ttyname(other)

    def spoil(self, byte: int) -> list[int]:
        """What becomes of a byte: itself, nothing, twice the same, or another."""
        if self.random.random() >= self.faults:
            return [byte]
        self.counts["spoilt"] += 1
        return self.random.choice(([], [byte, byte], [byte ^ 1 << self.random.randrange(8)]))

    async def to_board(self, stop: Path) -> None:
        while not stop.exists():
            try:
                some = os.read(self.end, 64)
            except OSError:  # nothing there, or nobody
                time.sleep(IDLE)
                await Timer(50 * self.bit, "ns")
                continue
            for byte in (spoilt for one in some for spoilt in self.spoil(one)):
                await self._send(byte)
                self.counts["to"] += 1

    async def _send(self, byte: int) -> None:
        for value in (0, *(byte >> place & 1 for place in range(8)), 1):
            self.dut.rx.value = value
            await Timer(self.bit, "ns")

    async def from_board(self) -> None:
        while True:
            await FallingEdge(self.dut.tx)
            await Timer(self.bit // 2, "ns")
            byte = 0
            for place in range(8):
                await Timer(self.bit, "ns")
                byte |= int(self.dut.tx.value) << place
            await Timer(self.bit, "ns")
            os.write(self.end, bytes(self.spoil(byte)))
            self.counts["from"] += 1


@cocotb.test()
async def a_host_is_served(dut: object) -> None:
    path = Path(os.environ[JOB_VARIABLE])
    line = Line(dut, json.loads(path.read_text(encoding="utf-8")))
    Clock(dut.clk, PERIOD, "ns").start()
    dut.rst.value, dut.rx.value = 1, 1
    await Timer(5 * PERIOD, "ns")
    dut.rst.value = 0
    cocotb.start_soon(line.from_board())
    write_whole(path.parent / PORT, line.port.encode())
    await line.to_board(path.parent / STOP)
    write_whole(path.parent / RESULTS, json.dumps(line.counts).encode())
