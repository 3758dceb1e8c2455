"""Metrics of a training for other tools: a CSV file, and TensorBoard's event files.

The event format is a few lines, so nothing needs to be installed to write it: records of (length,
checksum of the length, content, checksum of the content), each content a protocol buffer `Event`.
TensorBoard itself is needed only to look at them: `tensorboard --logdir <folder>`.
"""

import struct
import time
from pathlib import Path

from .archive import write_whole
from .training import Epoch

COLUMNS = {
    "epoch": "{0.number}",
    "loss": "{0.loss:.6f}",
    "train_accuracy": "{0.train_accuracy:.6f}",
    "learning_rate": "{0.learning_rate:.8f}",
    "images_per_second": "{0.images_per_second:.1f}",
    "seconds": "{0.seconds:.3f}",
}
CURVES = ("loss", "train_accuracy", "learning_rate", "images_per_second")
_POLYNOMIAL = 0x82F63B78  # CRC-32C, reflected


class Metrics:
    """Writes `<kind>.csv` and `tensorboard/<kind>/events.out.tfevents.adderforge` into `folder`,
    both anew at the first `add`; after each both hold all epochs added."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._csv, self._lines = folder / f"{kind}.csv", [",".join(COLUMNS)]
        self._events = folder / "tensorboard" / kind / "events.out.tfevents.adderforge"

    def add(self, epoch: Epoch) -> None:
        if len(self._lines) == 1:
            self._events.parent.mkdir(parents=True, exist_ok=True)
            self._events.write_bytes(record(event(version="brain.Event:2")))
        self._lines.append(",".join(form.format(epoch) for form in COLUMNS.values()))
        write_whole(self._csv, ("\n".join(self._lines) + "\n").encode())
        curves = {name: getattr(epoch, name) for name in CURVES}
        with self._events.open("ab") as file:
            file.write(record(event(step=epoch.number, values=curves)))


def event(
    step: int = 0, values: dict[str, float] | None = None, version: str | None = None
) -> bytes:
    """An `Event`: 1 wall_time, 2 step, and either 3 file_version or 5 summary, whose 1 are values
    of 1 tag and 2 simple_value."""
    content = _tag(1, 1) + struct.pack("<d", time.time()) + _tag(2, 0) + _varint(step)
    if version is not None:
        content += _bytes(3, version.encode())
    if values:
        summary = b"".join(
            _bytes(1, _bytes(1, name.encode()) + _tag(2, 5) + struct.pack("<f", value))
            for name, value in values.items()
        )
        content += _bytes(5, summary)
    return content


def record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + _masked(length) + content + _masked(content)


def crc32c(content: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def _masked(content: bytes) -> bytes:
    value = crc32c(content)
    rotated = (value >> 15 | value << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _bytes(number: int, content: bytes) -> bytes:
    return _tag(number, 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
