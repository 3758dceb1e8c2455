"""The store: whole files or none, keys that follow from what was measured, several processes."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from adderforge.exploration.store import Measurement, Store, Subject


def measurement(number, **others):
    subject = Subject(level=1, of={"design": {"rows": number}, "tools": {"yosys": "1"}})
    figures = {} if others.get("reason") else {"area_um2": 10.0 * number, "luts": None}
    return Measurement(subject=subject, design={"rows": number}, figures=figures, **others)


def test_what_is_put_is_got_again_as_it_was(tmp_path):
    Store(tmp_path / "s").put(measurement(3))
    store = Store(tmp_path / "s")
    assert store.get(measurement(3).subject) == measurement(3)
    assert store.get(measurement(4).subject) is None
    assert list(store) == [measurement(3)]


def test_a_key_follows_from_all_that_the_measurement_does():
    subject = measurement(3).subject
    others = [
        Subject(level=2, of=subject.of),
        Subject(level=1, of=subject.of | {"tools": {"yosys": "2"}}),
        Subject(level=1, of=subject.of | {"design": {"rows": 4}}),
    ]
    assert len({one.key for one in (subject, *others)}) == 4
    again = json.loads(json.dumps(subject.of))
    assert Subject(level=1, of=dict(reversed(again.items()))).key == subject.key


def test_a_failure_is_kept_with_its_reason_and_log(tmp_path):
    store = Store(tmp_path / "s")
    store.put(measurement(1, reason="no such cell", log="ERROR"))
    (kept,) = store
    assert (kept.status, kept.reason, kept.log) == ("failed", "no such cell", "ERROR")
    (path,) = (tmp_path / "s" / "points").iterdir()
    assert json.loads(path.read_text())["status"] == "failed"


def test_what_is_there_stays_until_it_is_forgotten(tmp_path):
    store = Store(tmp_path / "s")
    store.put(measurement(1))
    store.put(measurement(1, reason="later"))
    assert store.get(measurement(1).subject).status == "done"
    store.forget(measurement(1).subject)
    assert list(store) == []


def put_many(folder, start):
    store = Store(folder)
    for number in range(start, start + 40):
        store.put(measurement(number))


def test_several_processes_may_write_at_once(tmp_path):
    with ProcessPoolExecutor(3, get_context("fork")) as pool:
        for future in [pool.submit(put_many, tmp_path / "s", 20 * part) for part in range(3)]:
            future.result()
    assert sorted(m.design["rows"] for m in Store(tmp_path / "s")) == list(range(80))


def test_a_store_of_another_version_is_refused(tmp_path):
    Store(tmp_path / "s")
    header = tmp_path / "s" / "store.json"
    header.write_text(header.read_text().replace('"version": 1', '"version": 9'))
    with pytest.raises(
        ValueError, match="version of the store must be 1, not 9; name a new folder"
    ):
        Store(tmp_path / "s")


def test_a_header_of_something_else_is_refused(tmp_path):
    (tmp_path / "store.json").write_text('{"version": 1}')
    with pytest.raises(ValueError, match=r"store\.json: must be of a store of AdderForge; name"):
        Store(tmp_path)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(ValueError, match="not a store of AdderForge, and not empty"):
        Store(tmp_path)


WHOLE = {"subject": {"level": 1, "of": {}}, "design": {}, "figures": {}}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        json.dumps(WHOLE | {"subject": 5}),
        json.dumps(WHOLE | {"subject": {"level": 1, "of": 5}}),
        json.dumps(WHOLE | {"figures": 5}),
        json.dumps(WHOLE | {"more": 1}),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text):
    store = Store(tmp_path / "s")
    store.put(measurement(1))
    (path,) = (tmp_path / "s" / "points").iterdir()
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{path.name}: damaged; remove it"):
        store.get(measurement(1).subject)
