"""Gate-level simulation with delays: every transition, glitches among them, of each net.

Each input pin of each gate has four delays, for its own edge and for the output's, in whole
picoseconds, at least one. They are inertial: when the inputs of a gate ask for a new output, it
follows after the delay of the pin that changed, and if they ask for the old one before that, it
does not change at all. Pins that change in the same picosecond are seen together. Flip-flops'
outputs follow the clock's edge by their own delays, input ports by the mean of those. A cycle ends
when all nets have settled, so its length does not matter; they settle at what `sim.gates` computes.
"""

import ctypes
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from threading import Event

import numpy as np

from hw.activity import Activity
from hw.delays import EDGES, Delays
from hw.netlist import Netlist

from . import compiled
from .circuit import Circuit, circuit
from .gates import Simulation, as_words, check_warm_up, input_bits, start_states

SOURCE = Path(__file__).with_name("events.cpp")
STEP = 16  # cycles between two looks at whether to stop


def simulate(
    netlist: Netlist,
    delays: Delays,
    inputs: Mapping[str, np.ndarray],
    *,
    warm_up: int = 1,
    states: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Runs every stream through the netlist with these delays; inputs, warm_up, states, outputs
    and errors as in `sim.gates.simulate`. progress: called with (cycles done of all streams,
    cycles).

    Streams run on as many threads as there are processors. The activity lacks the shares of
    conditions, which are those of a simulation without delays. Raises ToolError where there is no
    C++ compiler.
    """
    bits, cycles, streams = input_bits(netlist, inputs)
    check_warm_up(warm_up, cycles)
    made = circuit(netlist, delays)
    stimulus = [bits[name] for name in netlist.inputs if name != netlist.clock]
    stimulus = np.concatenate(stimulus, axis=2)
    watched = np.concatenate(list(netlist.outputs.values())).astype(np.uint32)
    starts = start_states(netlist, states, streams)
    runs = [
        _Run(made, watched, stimulus[:, stream], starts[:, stream], warm_up)
        for stream in range(streams)
    ]
    _run_all(runs, progress)
    activity = Activity(
        kind="gate-delay",
        cycles=(cycles - warm_up) * streams,
        changes=sum(run.changes.astype(np.int64) for run in runs)[: netlist.net_count],
        caused=made.caused(sum(run.caused.astype(np.int64) for run in runs)),
        shares={},
    )
    values = np.stack([run.outputs for run in runs], axis=1).astype(bool)
    ends = np.cumsum([bits.size for bits in netlist.outputs.values()])[:-1]
    parts = zip(netlist.outputs, np.split(values, ends, axis=2), strict=True)
    return Simulation({name: as_words(part) for name, part in parts}, activity)


def prepare() -> None:
    """Compile what `simulate` needs, unless that was done before; ToolError without a compiler."""
    _library()


class _Run:
    """One stream. outputs: (cycles, watched). changes: (nets, 2), caused: (pins, 2), falls and
    rises; both once it is done. done: cycles so far."""

    def __init__(
        self,
        made: Circuit,
        watched: np.ndarray,
        stimulus: np.ndarray,
        states: np.ndarray,
        warm_up: int,
    ) -> None:
        self._circuit, self._watched, self._warm_up = made, watched, warm_up
        self._stimulus = np.ascontiguousarray(stimulus, dtype=np.uint8)
        self._states = np.ascontiguousarray(states, dtype=np.uint8)
        self.outputs = np.zeros((len(stimulus), watched.size), dtype=np.uint8)
        self.changes = np.zeros((made.nets, len(EDGES)), dtype=np.uint32)
        self.caused = np.zeros((made.pin_gates.size, len(EDGES)), dtype=np.uint32)
        self.done = 0

    def run(self, stop: Event) -> None:
        library, made = _library(), self._circuit
        simulator = library.events_create(
            made.nets,
            *map(_at, (made.first_pins, made.pin_gates, made.pin_places, made.pin_delays)),
            made.gate_nets.size,
            *map(_at, (made.gate_tables, made.gate_nets)),
            made.flip_flop_states.size,
            *map(_at, (made.flip_flop_tables, made.flip_flop_states, made.flip_flop_inputs)),
            _at(self._states),
        )
        try:
            while self.done < len(self.outputs) and not stop.is_set():
                self._step(library, simulator)
            library.events_read(simulator, _at(self.changes), _at(self.caused))
        finally:
            library.events_destroy(simulator)

    def _step(self, library: ctypes.CDLL, simulator: int) -> None:
        counting = self.done >= self._warm_up
        end = min(self.done + STEP, len(self.outputs) if counting else self._warm_up)
        library.events_run(
            simulator,
            end - self.done,
            counting,
            self._circuit.sources.size,
            _at(self._circuit.sources),
            _at(self._stimulus[self.done : end]),
            self._watched.size,
            _at(self._watched),
            _at(self.outputs[self.done : end]),
        )
        self.done = end


def _run_all(runs: list[_Run], progress: Callable[[int, int], None] | None) -> None:
    """Run the streams on threads; when one fails or the user interrupts, all stop."""
    stop, total = Event(), sum(len(run.outputs) for run in runs)
    prepare()  # before the threads need it
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        waiting = {pool.submit(run.run, stop) for run in runs}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.2)
                for future in done:
                    future.result()
                if progress:
                    progress(sum(run.done for run in runs), total)
        finally:
            stop.set()


@cache
def _library() -> ctypes.CDLL:
    library = compiled.load(SOURCE)
    pointer, count = ctypes.c_void_p, ctypes.c_uint32
    library.events_create.restype = pointer
    library.events_create.argtypes = [count, *[pointer] * 4, count, *[pointer] * 2]
    library.events_create.argtypes += [count, *[pointer] * 4]
    library.events_run.restype = None
    library.events_run.argtypes = [pointer, *[count] * 3, *[pointer] * 2, count, *[pointer] * 2]
    library.events_read.restype = None
    library.events_read.argtypes = [pointer] * 3
    library.events_destroy.restype = None
    library.events_destroy.argtypes = [pointer]
    return library


def _at(array: np.ndarray) -> int:
    return array.ctypes.data
