import struct

from golden.metrics import Metrics, crc32c
from golden.train import Epoch


def epoch(number):
    return Epoch(number=number, loss=0.5 / number, train_accuracy=0.9, seconds=2.0)


def test_the_checksum_is_crc_32c():
    assert crc32c(b"123456789") == 0xE3069283


def test_a_csv_file_has_a_line_for_each_epoch(tmp_path):
    metrics = Metrics(tmp_path, "adder")
    for number in (1, 2):
        metrics.add(epoch(number))
    lines = (tmp_path / "adder.csv").read_text().splitlines()
    assert lines[0].startswith("epoch,loss,train_accuracy")
    assert lines[2].startswith("2,0.250000,0.900000")


def test_events_are_records_and_a_new_start_begins_the_file_anew(tmp_path):
    for _ in range(2):
        metrics = Metrics(tmp_path, "adder")
        metrics.add(epoch(1))
    Metrics(tmp_path, "adder")  # of a training that is refused: nothing is lost
    (path,) = (tmp_path / "tensorboard" / "adder").iterdir()
    content, records = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        records.append(content[12 : 12 + length])
        content = content[16 + length :]
    assert len(records) == 2 and records[0].endswith(b"brain.Event:2")
    assert b"loss\x15" + struct.pack("<f", 0.5) in records[1]
