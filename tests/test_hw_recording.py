import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hw.activity import Activity
from hw.liberty import read_library
from hw.netlist import read_netlist
from hw.recording import Recording, joined, load, save

LIBRARY = read_library(Path(__file__).parents[1] / "fixtures" / "adderforge130.lib")


def netlist_of(tmp_path, first="INV_X1", second="BUF_X1"):
    """Two gates behind one another."""
    ports = {"a": {"direction": "input", "bits": [2]}, "y": {"direction": "output", "bits": [4]}}
    out = {"INV_X1": "Y", "BUF_X1": "X"}
    cells = {
        "u": {"type": first, "connections": {"A": [2], out[first]: [3]}},
        "v": {"type": second, "connections": {"A": [3], out[second]: [4]}},
    }
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"ports": ports, "cells": cells}}}))
    return read_netlist(path, LIBRARY)


def recording_of(netlist, cycles=4, share=0.5):
    changes = np.arange(2 * netlist.net_count).reshape(-1, 2)
    shares = {("INV_X1", "A | !A"): np.array([share])}
    settled = Activity(kind="zero-delay", cycles=cycles, changes=changes, caused={}, shares=shares)
    caused = {("INV_X1", "Y", "A"): np.array([[5, 6]]), ("BUF_X1", "X", "A"): np.array([[7, 8]])}
    activity = replace(settled, kind="gate-delay", changes=3 * changes, caused=caused)
    return Recording(activity=activity, zero_delay=settled, operations=9, compared=2, mismatches=1)


def assert_same(one, other):
    assert (one.kind, one.cycles) == (other.kind, other.cycles)
    np.testing.assert_array_equal(one.changes, other.changes)
    for mine, theirs in ((one.caused, other.caused), (one.shares, other.shares)):
        assert mine.keys() == theirs.keys()
        for key in mine:
            np.testing.assert_array_equal(mine[key], theirs[key])


def test_a_file_gives_back_what_was_saved(tmp_path):
    netlist = netlist_of(tmp_path)
    saved = recording_of(netlist)
    save(saved, netlist, tmp_path / "activity.npz")
    read = load(tmp_path / "activity.npz", netlist)
    assert_same(read.activity, saved.activity)
    assert_same(read.zero_delay, saved.zero_delay)
    assert (read.operations, read.compared, read.mismatches) == (9, 2, 1)
    assert {path.name for path in tmp_path.iterdir()} == {"activity.npz", "netlist.json"}


def test_runs_are_joined_by_adding_counts_and_weighing_shares_by_cycles(tmp_path):
    netlist = netlist_of(tmp_path)
    one, other = recording_of(netlist, 4, 0.5), recording_of(netlist, 12, 1.0)
    both = joined([one, other])
    assert (both.operations, both.compared, both.mismatches) == (18, 4, 2)
    assert both.activity.cycles == both.zero_delay.cycles == 16
    np.testing.assert_array_equal(both.activity.changes, 2 * one.activity.changes)
    assert both.activity.caused["INV_X1", "Y", "A"].tolist() == [[10, 12]]
    assert both.activity.shares["INV_X1", "A | !A"].tolist() == [(4 * 0.5 + 12 * 1.0) / 16]


def test_the_activity_of_another_netlist_is_refused(tmp_path):
    netlist = netlist_of(tmp_path)
    save(recording_of(netlist), netlist, tmp_path / "activity.npz")
    swapped = netlist_of(tmp_path, "BUF_X1", "INV_X1")
    assert swapped.net_count == netlist.net_count
    with pytest.raises(ValueError, match="activity of another netlist than this top of 2 cells"):
        load(tmp_path / "activity.npz", swapped)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_what_is_no_activity_is_refused(tmp_path, content):
    path = tmp_path / "activity.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="activity must be a file that --save-activity wrote"):
        load(path, netlist_of(tmp_path))


def test_an_archive_of_something_else_or_cut_short_is_refused(tmp_path):
    netlist, path = netlist_of(tmp_path), tmp_path / "activity.npz"
    np.savez(path, images=np.zeros(3))
    with pytest.raises(ValueError, match="activity must be a file that --save-activity wrote"):
        load(path, netlist)
    save(recording_of(netlist), netlist, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="activity must be a file that --save-activity wrote"):
        load(path, netlist)
