"""Runs a mapped array on a network's real operands: sums checked, switching activity counted.

The matrix forms follow one another as one long stream of cycles, of which windows, evenly spaced
and each starting with a tile, are simulated side by side. A run with gate delays is also made
without: that gives the shares of the cells' conditions, and what glitches cost.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from hw.config import ArrayConfig
from hw.delays import Delays, find_delays
from hw.energy import EnergyReport, beside, energy
from hw.netlist import Netlist
from hw.recording import Recording
from hw.schedule import Schedule, drain_latency

from . import events
from .blocks import blocks
from .gates import Simulation, simulate
from .workload import MatrixForm

CLOCK_MHZ = 100.0
SUMS = "sums"
ACTIVITIES = ("gate-delay", "zero-delay")


@dataclass(frozen=True, kw_only=True)
class GateRun:
    """energy: of the windows' cycles after warm-up. zero_delay: of the same cycles without gate
    delays. longest_path_ns: see `hw.delays`. compared, mismatches: sums of the netlist against the
    integer reference, and rows that came out at a wrong time. recording: what was priced."""

    energy: EnergyReport
    compared: int
    mismatches: int
    zero_delay: EnergyReport | None = None
    longest_path_ns: float | None = None
    recording: Recording | None = None


@dataclass(frozen=True, kw_only=True)
class Stream:
    """All forms' operands, (cycles, …) as `Schedule.operands` gives them, and what is known of
    them. a_used, w_used: masks of operands that are not filling. ends: cycle of each tile's
    `last`. starts: of its first operands. sums: the tiles' sums, (rows, cols), and which count."""

    a: np.ndarray
    w: np.ndarray
    last: np.ndarray
    a_used: np.ndarray
    w_used: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    sums: np.ndarray
    used: np.ndarray


def measure(
    config: ArrayConfig,
    netlist: Netlist,
    forms: Iterable[MatrixForm],
    *,
    windows: int = 64,
    cycles: int = 320,
    clock_mhz: float = CLOCK_MHZ,
    activity: str = "zero-delay",
    delays: Delays | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GateRun:
    """Simulate `windows` windows of `cycles` cycles; energy per useful operation.

    An operation is one |a − w| or one a · w, accumulated; filling is not counted. The first
    cycles of a window, until the array is full, are warm-up. Leakage is for `clock_mhz`. activity:
    one of ACTIVITIES. delays: of the netlist, found with default surroundings if not given.
    ValueError when the array is not output-stationary, the netlist is of another array or the
    forms are too short for a window.
    """
    check_activity(activity)
    check_dataflow(config)
    bits = config.cols * config.acc_width
    if netlist.outputs[SUMS].size != bits:
        raise ValueError(
            f"netlist {netlist.name} gives {netlist.outputs[SUMS].size} bits of sums, but this "
            f"{config.pe} configuration has {bits}; synthesize the configuration again"
        )
    stream = _concatenate([_stream(config, form) for form in forms])
    warm_up = config.rows + config.cols + config.pipeline
    cycles = min(cycles, len(stream.last))
    if cycles <= 2 * warm_up:
        raise ValueError(
            f"a window of {cycles} cycles must be longer than twice the {warm_up} that fill the "
            "array; give more images"
        )
    places = _window_starts(stream, windows, cycles)
    index = np.arange(cycles)[:, None] + places
    inputs = {
        "a": _bits(stream.a[index], config.width),
        "w": _bits(stream.w[index], config.width),
        "last": stream.last[index].astype(np.uint8),
        "rst": np.zeros(index.shape, dtype=np.uint8),
    }
    delays = delays or find_delays(netlist)
    settled = activity == "zero-delay"
    run = simulate(netlist, inputs, warm_up=warm_up, progress=progress if settled else None)
    zero_delay = seen = run.activity
    if not settled:
        run = events.simulate(netlist, delays, inputs, warm_up=warm_up, progress=progress)
        seen = replace(run.activity, shares=zero_delay.shares)
    compared, mismatches = _check(config, stream, places, cycles, run)
    recording = Recording(
        activity=seen,
        zero_delay=zero_delay,
        operations=_operations(config, stream, index, warm_up),
        compared=compared,
        mismatches=mismatches,
    )
    return price(recording, netlist, delays, clock_mhz)


def price(recording: Recording, netlist: Netlist, delays: Delays, clock_mhz: float) -> GateRun:
    """The energy of what a run saw."""
    figures = {"operations": recording.operations, "clock_mhz": clock_mhz}
    figures["blocks"] = blocks(netlist)
    zero_delay = energy(netlist, recording.zero_delay, delays, **figures)
    report = energy(netlist, recording.activity, delays, **figures)
    return GateRun(
        energy=beside(report, zero_delay),
        zero_delay=zero_delay,
        longest_path_ns=delays.longest_path_ns,
        compared=recording.compared,
        mismatches=recording.mismatches,
        recording=recording,
    )


def check_activity(activity: str) -> None:
    """ValueError when there is no such kind of activity."""
    if activity not in ACTIVITIES:
        raise ValueError(f"activity must be one of {', '.join(ACTIVITIES)}, not {activity!r}")


def check_dataflow(config: ArrayConfig) -> None:
    """ValueError when the array is not output-stationary."""
    if config.dataflow != "output-stationary":
        raise ValueError(
            f"dataflow must be 'output-stationary' for a gate-level run, not {config.dataflow!r}, "
            "whose memory is no part of a mapped netlist; simulate its Verilog"
        )


def _stream(config: ArrayConfig, form: MatrixForm) -> Stream:
    schedule = Schedule(shape=form.shape, config=config)
    (m, _, n), (tiles_m, tiles_n) = form.shape, schedule.tiles
    a, w, last = schedule.operands(form.activations, form.weights).values()
    a_used, w_used, _ = schedule.operands(
        np.ones(form.activations.shape, bool), np.ones(form.weights.shape, bool)
    ).values()
    starts = np.arange(tiles_m * tiles_n) * schedule.period
    rows, cols = config.rows, config.cols

    def tiled(matrix: np.ndarray) -> np.ndarray:
        padded = np.pad(matrix, ((0, tiles_m * rows - m), (0, tiles_n * cols - n)))
        split = padded.reshape(tiles_m, rows, tiles_n, cols)
        return split.transpose(2, 0, 1, 3).reshape(-1, rows, cols)

    a, w, last, a_used, w_used = (
        _idle(x, schedule.empty_cycles) for x in (a, w, last, a_used, w_used)
    )
    return Stream(
        a=a,
        w=w,
        last=last,
        a_used=a_used,
        w_used=w_used,
        starts=starts,
        ends=starts + schedule.steps - 1,
        sums=tiled(form.sums),
        used=tiled(np.ones(form.sums.shape, bool)),
    )


def _idle(values: np.ndarray, cycles: int) -> np.ndarray:
    return np.pad(values, [(0, cycles)] + [(0, 0)] * (values.ndim - 1))


def _concatenate(streams: list[Stream]) -> Stream:
    offsets = np.cumsum([0] + [len(stream.last) for stream in streams])
    fields = {}
    for name in Stream.__dataclass_fields__:
        parts = [getattr(stream, name) for stream in streams]
        if name in ("starts", "ends"):
            parts = [part + offset for part, offset in zip(parts, offsets, strict=False)]
        fields[name] = np.concatenate(parts)
    return Stream(**fields)


def _window_starts(stream: Stream, windows: int, cycles: int) -> np.ndarray:
    """Tile starts nearest below evenly spaced cycles; every window fits the stream."""
    wanted = np.linspace(0, len(stream.last) - cycles, windows).astype(int)
    return stream.starts[np.searchsorted(stream.starts, wanted, side="right") - 1]


def _bits(values: np.ndarray, width: int) -> np.ndarray:
    """(cycles, windows, ports' bits), lowest first, of (cycles, windows, side, lanes) operands."""
    bits = (values[..., None] >> np.arange(width)) & 1
    return bits.reshape(*values.shape[:2], -1).astype(bool)


def _operations(config: ArrayConfig, stream: Stream, index: np.ndarray, warm_up: int) -> int:
    """Useful operations that the PEs do in the counted cycles; PE (r, c) is r + c cycles late."""
    total = 0
    for r in range(config.rows):
        for c in range(config.cols):
            entered = index[warm_up - r - c : len(index) - r - c]
            total += np.count_nonzero(stream.a_used[entered, r] & stream.w_used[entered, c])
    return int(total)


def _check(
    config: ArrayConfig, stream: Stream, places: np.ndarray, cycles: int, run: Simulation
) -> tuple[int, int]:
    """(sums compared, mismatches). Row r of a tile is due `drain_latency` + r cycles after its
    `last`."""
    sums = _integers(run.outputs[SUMS], config)
    valid = run.outputs["valid"].astype(bool)
    due = np.zeros_like(valid)
    compared = mismatches = 0
    for window, place in enumerate(places):
        ends = stream.ends - place
        for tile in np.flatnonzero((ends >= 0) & (ends < cycles)):
            times = ends[tile] + drain_latency(config) + np.arange(config.rows)
            rows = np.flatnonzero(times < cycles)
            due[times[rows], window] = True
            used = stream.used[tile][rows]
            wrong = (sums[times[rows], window] != stream.sums[tile][rows]) & used
            compared += int(used.sum())
            mismatches += int(wrong.sum())
    return compared, mismatches + int((due != valid).sum())


def _integers(values: np.ndarray, config: ArrayConfig) -> np.ndarray:
    """(cycles, windows, cols) sums from a port's words or bits."""
    if values.ndim == 2:
        width = config.cols * config.acc_width
        values = (values[..., None] >> np.arange(width, dtype=np.uint64)) & np.uint64(1)
    bits = values.reshape(*values.shape[:2], config.cols, config.acc_width).astype(np.int64)
    weights = 1 << np.arange(config.acc_width, dtype=np.int64)
    if config.acc_signed:
        weights[-1] = -weights[-1]
    return bits @ weights
