"""Runs a mapped array on a network's real operands: sums checked, switching activity counted.

The matrix forms follow one another as one long stream of cycles, of which windows, evenly spaced
and each starting with a tile or a block, are simulated side by side. A run with gate delays is also
made without: that gives the shares of the cells' conditions, and what glitches cost.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hw.config import ArrayConfig
from hw.delays import Delays, find_delays
from hw.energy import EnergyReport, beside, energy
from hw.netlist import Netlist
from hw.recording import Recording

from . import events
from .blocks import blocks
from .gates import simulate
from .stream import Stream, fill_cycles, stream_of
from .workload import MatrixForm

CLOCK_MHZ = 100.0
SUMS = "sums"
RESET_CYCLES = 1  # before a window, whose operands and flags are all 0 before
ACTIVITIES = ("gate-delay", "zero-delay")
MEMORY_BITS = 2**13


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
    ValueError when the netlist is of another array, its memory is too large (`check_memory`) or the
    forms are too short for a window.
    """
    check_activity(activity)
    check_memory(config)
    bits = config.cols * config.acc_width
    if netlist.outputs[SUMS].size != bits:
        raise ValueError(
            f"netlist {netlist.name} gives {netlist.outputs[SUMS].size} bits of sums, but this "
            f"{config.pe} configuration has {bits}; synthesize the configuration again"
        )
    stream = stream_of(config, forms)
    warm_up = fill_cycles(config)
    cycles = min(cycles, stream.cycles)
    if cycles <= 2 * warm_up:
        raise ValueError(
            f"a window of {cycles} cycles must be longer than twice the {warm_up} that fill the "
            "array; give more images"
        )
    places = _window_starts(stream, windows, cycles)
    index = np.arange(cycles)[:, None] + places
    inputs = {"rst": _after_reset(np.zeros(index.shape, dtype=np.uint8), reset=1)}
    for port, values in stream.ports.items():
        flag = values.ndim == 1
        given = values[index].astype(np.uint8) if flag else _bits(values[index], config.width)
        inputs[port] = _after_reset(given)
    delays = delays or find_delays(netlist)
    settled = activity == "zero-delay"
    uncounted = RESET_CYCLES + warm_up
    run = simulate(netlist, inputs, warm_up=uncounted, progress=progress if settled else None)
    zero_delay = seen = run.activity
    if not settled:
        run = events.simulate(netlist, delays, inputs, warm_up=uncounted, progress=progress)
        seen = replace(run.activity, shares=zero_delay.shares)
    outputs = {name: values[RESET_CYCLES:] for name, values in run.outputs.items()}
    compared, mismatches = _check(config, stream, places, cycles, outputs)
    recording = Recording(
        activity=seen,
        zero_delay=zero_delay,
        operations=_operations(config, stream, index, warm_up),
        compared=compared,
        mismatches=mismatches,
    )
    return price(recording, netlist, delays, clock_mhz)


def price(
    recording: Recording,
    netlist: Netlist,
    delays: Delays,
    clock_mhz: float,
    find_blocks: Callable[[Netlist], Mapping[str, Sequence[str]]] = blocks,
) -> GateRun:
    """The energy of what a run saw."""
    figures = {"operations": recording.operations, "clock_mhz": clock_mhz}
    figures["blocks"] = find_blocks(netlist)
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


def check_memory(config: ArrayConfig) -> None:
    """ValueError when a weight-stationary array's memory is too large to be simulated: a mapped
    netlist has it in flip-flops, which is no way to build a large one."""
    bits = config.positions * config.cols * config.acc_width
    if config.dataflow == "weight-stationary" and bits > MEMORY_BITS:
        most = MEMORY_BITS // (config.cols * config.acc_width)
        raise ValueError(
            f"positions must be at most {most} for a gate-level run of this weight-stationary "
            f"array, whose memory is mapped to flip-flops, not {config.positions}"
        )


def _window_starts(stream: Stream, windows: int, cycles: int) -> np.ndarray:
    """Starts nearest below evenly spaced cycles; every window fits the stream."""
    wanted = np.linspace(0, stream.cycles - cycles, windows).astype(int)
    return stream.starts[np.searchsorted(stream.starts, wanted, side="right") - 1]


def _after_reset(values: np.ndarray, reset: int = 0) -> np.ndarray:
    """The values with `reset` in the cycles before. All flip-flops start at 0, which is no clear
    accumulator where they hold complements."""
    return np.concatenate([np.full_like(values[:RESET_CYCLES], reset), values])


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
    config: ArrayConfig,
    stream: Stream,
    places: np.ndarray,
    cycles: int,
    outputs: Mapping[str, np.ndarray],
) -> tuple[int, int]:
    """(sums compared, mismatches). A row is due whose last operands are in the window, and right if
    all of its operands are."""
    sums = _integers(outputs[SUMS], config)
    valid = outputs["valid"].astype(bool)
    due = np.zeros_like(valid)
    compared = mismatches = 0
    for window, place in enumerate(places):
        times = stream.due - place
        rows = np.flatnonzero((stream.ends >= place) & (times < cycles))
        due[times[rows], window] = True
        whole = rows[stream.begins[rows] >= place]
        used = stream.used[whole]
        wrong = (sums[times[whole], window] != stream.sums[whole]) & used
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
