"""Runs an accelerator's mapped netlist on windows of its cycles, as its Verilog was recorded.

The netlist starts a window from the flip-flops' states and takes what the memories and the ports
gave. Every flip-flop and every output must then be as recorded, in every cycle. So windows may lie
anywhere; only their first cycle is not counted, in which all nets change at once.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hw.delays import Delays
from hw.netlist import Netlist
from hw.recording import Recording

from . import events
from .accelerator_windows import Record, flip_flop_outputs
from .gates import Simulation, as_words, simulate

STATES = "flip-flops"
WARM_UP = 1


def run_windows(
    netlist: Netlist,
    delays: Delays,
    record: Record,
    windows: slice,
    *,
    operations: int,
    activity: str,
    progress: Callable[[int, int], None] | None = None,
) -> Recording:
    """What the netlist does in these windows of the record. operations: useful ones in their
    counted cycles. compared: values of outputs, one a port and cycle, and of flip-flops."""
    outputs, inverted = flip_flop_outputs(netlist)
    watched = replace(netlist, outputs=netlist.outputs | {STATES: outputs})
    inputs = {name: record.of(name, windows) for name in netlist.inputs if name != netlist.clock}
    states = (record.flip_flops(windows)[0] ^ inverted).T
    settled = activity == "zero-delay"
    options = {"warm_up": WARM_UP, "states": states}
    run = simulate(watched, inputs, progress=progress if settled else None, **options)
    zero_delay = seen = run.activity
    if not settled:
        run = events.simulate(watched, delays, inputs, progress=progress, **options)
        seen = replace(run.activity, shares=zero_delay.shares)
    compared, mismatches = _compare(run, record, windows, netlist)
    return Recording(
        activity=seen,
        zero_delay=zero_delay,
        operations=operations,
        compared=compared,
        mismatches=mismatches,
    )


def _compare(run: Simulation, record: Record, windows: slice, netlist: Netlist) -> tuple[int, int]:
    states = record.flip_flops(windows)
    compared = states.size
    mismatches = int((_as_bits(run.outputs[STATES], states.shape[-1]) != states).sum())
    for name in netlist.outputs:
        wanted, given = as_words(record.of(name, windows)), run.outputs[name]
        wrong = wanted != given
        wrong = wrong.any(axis=-1) if wrong.ndim == 3 else wrong
        compared += wrong.size
        mismatches += int(np.count_nonzero(wrong))
    return compared, mismatches


def _as_bits(values: np.ndarray, width: int) -> np.ndarray:
    """(cycles, windows, width) of a port's words or bits."""
    if values.ndim == 3:
        return values
    return (values[..., None] >> np.arange(width, dtype=np.uint64)).astype(np.uint64) & np.uint64(1)
