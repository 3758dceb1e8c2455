"""What a mapped netlist's cells compute: lookup tables over numbered nets.

Behind the netlist's nets, states of the flip-flops are numbered as further nets, in the order of
`Netlist.flip_flops`. A flip-flop is then gates from its state and its asynchronous pins to its
outputs, and a function for its next state. Asynchronous pins act at once, reset before set; they
must not depend on flip-flops that they reset.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from hw.boolean import Expression
from hw.netlist import Instances, Netlist

MAX_INPUTS = 6
_ROWS = np.arange(64, dtype=np.uint64)


@dataclass(frozen=True)
class Gates:
    """The same function of instances of one cell. pins: the n names that it reads, the state's
    among them. inputs: (n, gates) nets. outputs: (gates,). table: (2**n,) bits; bit i of a row is
    input i. output_pin: "" for a state."""

    instances: Instances
    output_pin: str
    pins: tuple[str, ...]
    inputs: np.ndarray
    outputs: np.ndarray
    table: np.ndarray


def gates(netlist: Netlist) -> Iterator[Gates]:
    """Yields the combinational cells' outputs."""
    for some, pin in netlist.gates():
        yield _gates(some, pin, some.cell.pins[pin].function, some.nets, some.nets[pin])


def states(netlist: Netlist) -> Iterator[tuple[Instances, np.ndarray]]:
    """Yields the flip-flops with the nets of their states."""
    size = netlist.net_count
    for some in netlist.flip_flops():
        yield some, np.arange(size, size + len(some.names))
        size += len(some.names)


def state_outputs(some: Instances, nets: np.ndarray) -> Iterator[Gates]:
    """Yields flip-flops' outputs as functions of their states, `nets`, alone."""
    for pin in some.cell.outputs:
        yield _of_state(some, pin.name, pin.function.text, nets, some.nets[pin.name])


def forced_outputs(some: Instances, nets: np.ndarray) -> Iterator[Gates]:
    """Yields them as functions of the states and the asynchronous pins."""
    forced = _forced(some, some.cell.flip_flop.state)
    state = rf"\b{re.escape(some.cell.flip_flop.state)}\b"
    for pin in some.cell.outputs:
        text = re.sub(state, lambda _: f"({forced})", _of_one_state(some, pin.function.text))
        yield _of_state(some, pin.name, text, nets, some.nets[pin.name])


def next_states(some: Instances, nets: np.ndarray) -> Gates:
    """Returns flip-flops' next states."""
    return _of_state(some, "", _forced(some, some.cell.flip_flop.next_state.text), nets, nets)


def forced_states(some: Instances, nets: np.ndarray) -> Iterator[Gates]:
    """Yields what asynchronous pins make of the states; nothing where there are none."""
    flip_flop = some.cell.flip_flop
    if flip_flop.clear or flip_flop.preset:
        yield _of_state(some, "", _forced(some, flip_flop.state), nets, nets)


def _forced(some: Instances, text: str) -> str:
    """Returns the expression under the cell's asynchronous set and reset; reset wins."""
    flip_flop = some.cell.flip_flop
    if flip_flop.preset:
        text = f"({text}) | ({flip_flop.preset.text})"
    return f"({text}) & !({flip_flop.clear.text})" if flip_flop.clear else text


def _of_one_state(some: Instances, text: str) -> str:
    """Returns the expression with the inverted state as the state's inverse."""
    flip_flop = some.cell.flip_flop
    if flip_flop.inverted_state == flip_flop.state:
        return text
    inverted = rf"\b{re.escape(flip_flop.inverted_state)}\b"
    return re.sub(inverted, f"(!{flip_flop.state})", text)


def _of_state(
    some: Instances, pin: str, text: str, states: np.ndarray, outputs: np.ndarray
) -> Gates:
    nets = {**some.nets, some.cell.flip_flop.state: states}
    return _gates(some, pin, Expression(_of_one_state(some, text)), nets, outputs)


def _gates(
    some: Instances,
    pin: str,
    function: Expression,
    nets: Mapping[str, np.ndarray],
    outputs: np.ndarray,
) -> Gates:
    names = function.inputs
    if len(names) > MAX_INPUTS:
        raise ValueError(
            f"cell {some.cell.name}: a function must have at most {MAX_INPUTS} inputs, got "
            f"{len(names)}; map the design without this cell"
        )
    inputs = np.array([nets[name] for name in names], dtype=np.int64)
    shaped = inputs.reshape(len(names), outputs.size)
    return Gates(some, pin, names, shaped, outputs, _table(function))


def _table(function: Expression) -> np.ndarray:
    rows = {
        name: np.bitwise_or.reduce(((_ROWS >> np.uint64(i)) & np.uint64(1)) << _ROWS)
        for i, name in enumerate(function.inputs)
    }
    bits = (function.evaluate(rows) >> _ROWS[: 2 ** len(rows)]) & np.uint64(1)
    return bits.reshape(-1).astype(bool)
