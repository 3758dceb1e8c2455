"""An accelerator on a serial line, simulated behind a pseudo-terminal, as if it were on a board."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from golden.archive import write_whole
from hw.link.verilog import TOP, serial_verilog
from hw.program import Program
from hw.tools import ToolError

from .runner import check_simulator, run_bench

PORT, STOP = "port", "stop"  # files by which both sides meet
DIVISOR = 4
START_LIMIT = 600  # seconds for the build
STOP_LIMIT = 60  # seconds for the simulator's end


@contextmanager
def simulated_board(
    program: Program,
    folder: Path,
    simulator: str = "verilator",
    faults: float = 0.0,
    seed: int = 0,
    divisor: int = DIVISOR,
    verilog: str | None = None,
) -> Iterator[str]:
    """The name of a serial port behind which the program's Verilog runs, as long as the context
    lasts. faults: the share of bytes, in both directions, that are lost, repeated or damaged.
    divisor: clock cycles of a bit. verilog: in place of the generated text, with the same ports.

    Writes Verilog and logs into `folder`. ToolError when the simulator is missing or does not
    start.
    """
    check_simulator(simulator)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{TOP}.v").write_text(verilog or serial_verilog(program, divisor), encoding="utf-8")
    for name in (PORT, STOP):
        (folder / name).unlink(missing_ok=True)
    job = {"divisor": divisor, "faults": faults, "seed": seed}
    write_whole(folder / "job.json", json.dumps(job).encode())
    arguments = ("sim.link_bench", TOP, folder / "job.json", simulator)
    process = get_context("spawn").Process(target=_run, args=arguments)
    process.start()
    try:
        yield _port(folder, process)
    finally:
        write_whole(folder / STOP, b"")
        process.join(STOP_LIMIT if (folder / PORT).exists() else 0)
        _end(process)


def _run(*arguments: str | Path) -> None:
    """With the simulator, which it starts, in a session of its own, by which both can be ended."""
    os.setsid()
    run_bench(*arguments)


def _end(process: BaseProcess) -> None:
    """What is still running of its session."""
    if process.is_alive():
        with suppress(ProcessLookupError):  # it has none yet
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    process.join()


def _port(folder: Path, process: BaseProcess) -> str:
    deadline = time.monotonic() + START_LIMIT
    while not (folder / PORT).exists():
        if not process.is_alive() or time.monotonic() > deadline:
            raise ToolError(f"the simulated board did not start; see {folder / 'simulation.log'}")
        time.sleep(0.05)
    return (folder / PORT).read_text(encoding="utf-8")
