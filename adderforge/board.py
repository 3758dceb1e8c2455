"""An accelerator on a board, from Python: images go over a serial port, classes come back."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from golden import reference
from golden.spec import QuantizedModel
from hw.accelerator_config import AcceleratorConfig
from hw.link.description import description
from hw.link.protocol import (
    ANSWER,
    CLASSIFY,
    DESCRIBE,
    LOAD,
    REASONS,
    REFUSAL,
    RESULT,
    Description,
    Frame,
    FrameReader,
)
from hw.link.questions import check_image, chunk_payloads, image_payload
from hw.program import compile_model
from hw.tools import ToolError

ATTEMPTS = 5
PATIENCE = 0.5  # seconds beyond the time that bytes take
BITS = 10  # of a byte on the line
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class BoardAnswer:
    """cycles: of the board's clock, from the image's last word to the class."""

    image_class: int
    cycles: int


class Board:
    """A board that runs a model on an accelerator of this configuration, see `hw.link`. One whose
    memory of weights is empty when it starts gets them first.

    port: of the system, such as /dev/ttyUSB1. baud: as the board was built for. patience: seconds
    to wait for an answer, beyond the time that the bytes take. attempts: of each question, after
    bytes were lost or damaged. retries: questions that had to be asked again, so far.

    Raises ToolError when pyserial is not installed or the port cannot be opened, OSError when the
    port vanishes, TimeoutError when nothing answers, and ValueError for a baud below 1, images that
    are too long for the line, and a board that runs another program. A context manager, which
    closes the port.
    """

    def __init__(
        self,
        port: str,
        model: QuantizedModel,
        config: AcceleratorConfig,
        baud: int = 1_000_000,
        patience: float = PATIENCE,
        attempts: int = ATTEMPTS,
    ) -> None:
        if baud < 1:
            raise ValueError(f"baud must be at least 1, not {baud}")
        self.model, self.program = model, compile_model(model, config)
        check_image(self.program)
        if find_spec("serial") is None:
            raise ToolError("pyserial: not installed; run 'pip install adderforge[board]'")
        from serial import Serial, SerialException

        self.port, self.retries = port, 0
        self._baud, self._patience, self._attempts = baud, patience, attempts
        self._number, self._reader = 0, FrameReader()
        self._told = description(self.program)
        self._loads = description(self.program, loads=True)
        try:
            self._serial = Serial(port, baud, timeout=0.01)
        except SerialException as error:
            reason = os.strerror(error.errno).lower() if error.errno else "is no serial port"
            raise ToolError(
                f"port {port}: {reason}; plug the board in, and give the port that it gets, "
                "such as /dev/ttyUSB1"
            ) from None
        self._serial.reset_input_buffer()
        try:
            self._check()
        except Exception:
            self.close()
            raise

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._serial.close()

    def classify(self, images: np.ndarray, on_image: Progress | None = None) -> list[BoardAnswer]:
        """The answer to each float image, (N, *in_shape of the model). on_image: told the images
        that are done, of how many. ValueError for another shape, or images that are not finite."""
        shape = self.model.in_shape
        if images.shape[1:] != shape:
            wanted = ", ".join(map(str, ("N", *shape)))
            raise ValueError(f"images must be ({wanted}), not {images.shape}")
        answers = []
        for image in reference.encode(self.model, images):
            payload = image_payload(self.program, image)
            image_class, cycles = RESULT.unpack(self._ask(CLASSIFY, payload, RESULT.size))
            answers.append(BoardAnswer(image_class=image_class, cycles=cycles))
            if on_image:
                on_image(len(answers), len(images))
        return answers

    def _check(self) -> None:
        size = len(self._told.encode())
        found = Description.decode(self._ask(DESCRIBE, b"", size))
        if found not in (self._told, self._loads):
            raise ValueError(
                f"the board at {self.port} must run program {self._told.program:016x}, not "
                f"{found.program:016x}; build it from this model and configuration"
            )

        if found == self._loads:
            self._load()

    def _load(self) -> None:
        """Give the board its weights. It begins anew where a damaged number made it do so."""
        for attempt in reversed(range(self._attempts)):
            try:
                for payload in chunk_payloads(self.program):
                    self._ask(LOAD, payload, 0)
                return
            except TimeoutError:
                if not attempt:
                    raise

    def _ask(self, kind: int, payload: bytes, size: int) -> bytes:
        """The payload, `size` bytes, of the answer."""
        reason = "no answer"
        for attempt in range(self._attempts):
            self.retries += attempt > 0
            self._number = (self._number + 1) % 256
            frame = Frame(number=self._number, kind=kind, payload=payload)
            answer, reason = self._exchange(frame.encode(), kind, size)
            if answer is not None:
                return answer
        raise TimeoutError(
            f"the board at {self.port} must answer within {self._attempts} attempts, but: "
            f"{reason}; check the port, the baud rate and the board's clock"
        )

    def _exchange(self, question: bytes, kind: int, size: int) -> tuple[bytes | None, str]:
        """The answer to one attempt, or why there is none. OSError when the port is gone."""
        try:
            return self._try(question, kind, size)
        except OSError as error:
            raise OSError(
                f"the board at {self.port} has vanished ({error}); connect it and begin again"
            ) from None

    def _try(self, question: bytes, kind: int, size: int) -> tuple[bytes | None, str]:
        self._reader.forget()
        self._serial.write(question)
        bytes_in_all = len(question) + size + 7
        deadline = time.monotonic() + BITS * bytes_in_all / self._baud + self._patience
        while time.monotonic() < deadline:
            for frame in self._reader.add(self._serial.read(64)):
                if frame.kind == REFUSAL and len(frame.payload) == 1:
                    why = REASONS.get(frame.payload[0], f"reason {frame.payload[0]}")
                    return None, f"it refused the frame: {why}"
                ours = frame.number == self._number and frame.kind == kind + ANSWER
                if ours and len(frame.payload) == size:
                    return frame.payload, ""
        return None, "no answer"
