"""The cache of simulators' builds: whole entries, found by all that they depend on."""

import os

import pytest

from sim import build_cache
from sim.build_cache import fetch, keep, key_of


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "adderforge" / "simulators"


def files(folder, **texts):
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return list(folder.iterdir())


def test_what_is_kept_is_fetched_as_it_was(tmp_path):
    [program] = files(tmp_path / "built", program="runs")
    program.chmod(0o755)
    keep("key", [program])
    files(tmp_path / "new")
    assert fetch("key", tmp_path / "new")
    [copy] = (tmp_path / "new").iterdir()
    assert (copy.name, copy.read_text(), copy.stat().st_mode) == (
        "program",
        "runs",
        program.stat().st_mode,
    )


def test_what_was_not_kept_is_not_there(tmp_path):
    assert not fetch("key", tmp_path)


def test_an_entry_that_another_process_has_emptied_is_not_there(tmp_path, home):
    keep("key", files(tmp_path / "built", program="runs"))
    (home / "key" / "program").unlink()
    assert not fetch("key", tmp_path)


def test_a_key_depends_on_every_part_and_its_place():
    keys = {key_of(parts) for parts in (["a", "b"], ["ab"], ["b", "a"], ["a", "b", ""])}
    assert len(keys) == 4


def test_an_entry_is_never_half_there(tmp_path, home):
    present, missing = tmp_path / "present", tmp_path / "missing"
    present.touch()
    keep("key", [present, missing])
    assert not fetch("key", tmp_path) and list(home.iterdir()) == []


def test_a_cache_that_cannot_be_written_keeps_nothing(tmp_path):
    (tmp_path / "cache").write_text("in the way")
    keep("key", files(tmp_path / "built", program="runs"))
    assert not fetch("key", tmp_path)


def test_entries_not_used_for_longest_are_forgotten(tmp_path, home, monkeypatch):
    monkeypatch.setattr(build_cache, "MOST", 2)
    built = files(tmp_path / "built", program="runs")
    for date, key in enumerate(("first", "second")):
        keep(key, built)
        os.utime(home / key, (date, date))
    assert fetch("first", tmp_path)
    keep("third", built)
    assert sorted(path.name for path in home.iterdir()) == ["first", "third"]
