"""An accelerator on a serial line, asked by a main program in C++: what it answers, bit by bit of
the line, fast enough for netlists."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hw.link.protocol import Frame
from hw.link.uart import BITS
from hw.program import Program
from hw.tools import run

from .verilated import executable

MAIN = Path(__file__).with_name("serial_main.cpp")
COUNT = struct.Struct("<I")
LONGEST = 300  # bytes, of an answer
LONG = 1_000_000  # cycles that are worth an optimized program, which takes longer to compile


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """answers: the bytes that came after each question; none, the last, where nothing came in time.
    cycles: of the clock, in all."""

    answers: tuple[bytes, ...]
    cycles: int


def ask(
    folder: Path,
    sources: Mapping[str, str],
    questions: Sequence[Frame],
    program: Program,
    divisor: int,
    idle: int,
) -> Conversation:
    """Simulates Verilog whose module `bench` has ports clk, rx and tx. divisor: clock cycles of a
    bit. idle: cycles before the first question. Writes everything into `folder`. ToolError when
    Verilator is missing or fails."""
    folder = folder.resolve()
    packets = [question.encode() for question in questions]
    cycles = BITS * divisor * sum(map(len, packets))
    simulator = executable(folder, sources, MAIN, level="-O1" if cycles > LONG else "-O0")
    written = (COUNT.pack(len(packet)) + packet for packet in packets)
    (folder / "questions").write_bytes(b"".join(written))
    limit = 2 * program.cycles + LONGEST * BITS * divisor
    words = [str(number) for number in (divisor, idle, limit)]
    log = folder / "simulation.log"
    run([str(simulator), *words, "questions", "answers"], folder, log)
    answers = tuple(_packets((folder / "answers").read_bytes()))
    return Conversation(answers=answers, cycles=int(log.read_text(encoding="utf-8")))


def _packets(data: bytes) -> Iterator[bytes]:
    while data:
        (count,) = COUNT.unpack_from(data)
        yield data[COUNT.size : COUNT.size + count]
        data = data[COUNT.size + count :]
