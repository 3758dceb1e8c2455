"""Activity in a file, so that what was simulated once can be priced again: at another clock rate,
with other wires. A file is of one netlist, whose digest it holds."""

import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .activity import Activity
from .netlist import Netlist

_FORMAT = "adderforge activity 1"
_SEPARATOR = "|"  # between the parts of a key; in no name of a cell or pin


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What a run saw. activity: with gate delays, or without, as its kind says. zero_delay:
    without, of the same cycles. operations: useful ones. compared, mismatches: of sums."""

    activity: Activity
    zero_delay: Activity
    operations: int
    compared: int
    mismatches: int


def joined(recordings: Sequence[Recording]) -> Recording:
    """Returns several runs of one netlist as one."""
    return Recording(
        activity=_sum([recording.activity for recording in recordings]),
        zero_delay=_sum([recording.zero_delay for recording in recordings]),
        operations=sum(recording.operations for recording in recordings),
        compared=sum(recording.compared for recording in recordings),
        mismatches=sum(recording.mismatches for recording in recordings),
    )


def _sum(activities: Sequence[Activity]) -> Activity:
    cycles = sum(activity.cycles for activity in activities)
    return Activity(
        kind=activities[0].kind,
        cycles=cycles,
        changes=sum(activity.changes for activity in activities),
        caused={
            key: sum(activity.caused[key] for activity in activities)
            for key in activities[0].caused
        },
        shares={
            key: sum(activity.shares[key] * activity.cycles for activity in activities) / cycles
            for key in activities[0].shares
        },
    )


def save(recording: Recording, netlist: Netlist, path: Path) -> None:
    """Write a compressed .npz, whole or not at all."""
    counts = (recording.operations, recording.compared, recording.mismatches)
    members = {
        "format": np.array(_FORMAT),
        "netlist": np.array(digest(netlist)),
        "counts": np.array([*counts, recording.activity.cycles]),
        "kind": np.array(recording.activity.kind),
        "changes": recording.activity.changes,
        "settled": recording.zero_delay.changes,
    }
    members |= _flat("caused", recording.activity.caused)
    members |= _flat("shares", recording.activity.shares)
    content = io.BytesIO()
    np.savez_compressed(content, **members)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.getvalue())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path, netlist: Netlist) -> Recording:
    """Read what `save` wrote; ValueError when it is no such file, or of another netlist."""
    try:
        with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as archive:
            members = {name: archive[name] for name in archive.files}
        known = str(members["format"]) == _FORMAT
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is none, or damaged"
        raise ValueError(
            f"{path}: activity must be a file that --save-activity wrote, but: {reason}; write it "
            "again"
        ) from None
    if not known:
        raise ValueError(f"{path}: activity of another format, {members['format']}; write it again")
    if str(members["netlist"]) != digest(netlist):
        raise ValueError(
            f"{path}: activity of another netlist than this {netlist.name} of "
            f"{sum(len(some.names) for some in netlist.instances.values()):,} cells; simulate this "
            "one, or give the configuration, library and multiplier that it was made with"
        )
    operations, compared, mismatches, cycles = members["counts"].tolist()
    shares = _keyed("shares", members)
    settled = Activity(
        kind="zero-delay", cycles=cycles, changes=members["settled"], caused={}, shares=shares
    )
    activity = Activity(
        kind=str(members["kind"]),
        cycles=cycles,
        changes=members["changes"],
        caused=_keyed("caused", members),
        shares=shares,
    )
    return Recording(
        activity=activity,
        zero_delay=settled,
        operations=operations,
        compared=compared,
        mismatches=mismatches,
    )


def digest(netlist: Netlist) -> str:
    """Of everything that an activity's places mean: cells, their order, and what they join."""
    summary = hashlib.sha256(f"{netlist.name} {netlist.net_count}".encode())
    for kind, some in netlist.instances.items():
        summary.update(f"{kind} {some.names}".encode())
        for pin, nets in some.nets.items():
            summary.update(pin.encode() + np.asarray(nets, dtype=np.int64).tobytes())
    return summary.hexdigest()


def _flat(name: str, arrays: Mapping[tuple[str, ...], np.ndarray]) -> dict[str, np.ndarray]:
    return {_SEPARATOR.join((name, *key)): array for key, array in arrays.items()}


def _keyed(name: str, members: dict[str, np.ndarray]) -> dict[tuple[str, ...], np.ndarray]:
    """The arrays that `_flat` named; a condition may hold the separator itself."""
    parts = 3 if name == "caused" else 2
    return {
        tuple(key.split(_SEPARATOR, parts)[1:]): array
        for key, array in members.items()
        if key.startswith(name + _SEPARATOR)
    }
