"""Flat Verilog of a netlist, written for speed of simulation: a net is a variable of one bit, logic
is an expression, and flip-flops that are clocked alike share a block."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .netlist import Cell

ZERO, ONE = "1'b0", "1'b1"


class Clocking(NamedTuple):
    """What flip-flops have in common. edge: such as `posedge n1`. reset_first: it works without
    the enable, too. asynchronous: it waits for no edge."""

    edge: str
    enable: str = ONE
    reset: str = ZERO
    reset_first: bool = True
    asynchronous: bool = False


class FlipFlop(NamedTuple):
    """value: after a reset. initial: at the start."""

    net: str
    data: str
    value: str
    initial: str


@dataclass
class Verilog:
    """Takes cell after cell, then gives the text. A net None is one that nobody reads."""

    assigns: dict[str, str] = field(default_factory=dict)
    clocked: dict[Clocking, list[FlipFlop]] = field(default_factory=dict)
    instances: list[str] = field(default_factory=list)
    demands: list[tuple[str, str, str]] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)
    driven: set[str] = field(default_factory=set)

    def assign(self, net: str | None, expression: str) -> None:
        if net:
            self._drive(net)
            self.assigns[net] = expression

    def flip_flop(self, clocking: Clocking, one: FlipFlop) -> None:
        self._drive(one.net)
        self.clocked.setdefault(clocking, []).append(one)

    def instance(self, module: str, settings: Mapping[str, str], pins: Mapping[str, str]) -> None:
        """Of a behavioral module, whose outputs are driven by `output`."""
        name = f"block{len(self.instances)}"
        self.instances.append(f"{module} #({_named(settings)}) {name} ({_named(pins)});")

    def output(self, nets: Sequence[str | None]) -> str:
        """A new bus for an output of a block, which drives these nets, the lowest bit first."""
        bus = f"bus{len(self.instances)}"
        self.instances.append(f"wire [{len(nets) - 1}:0] {bus};")
        for bit, net in enumerate(nets):
            self.assign(net, f"{bus}[{bit}]")
        return bus

    def wire(self, name: str) -> str:
        """The name of a new wire, which an instance drives."""
        self.instances.append(f"wire {name};")
        return name

    def named(self, expression: str) -> str:
        """A wire with this value, for what needs a name."""
        name = self._names.setdefault(expression, f"named{len(self._names)}")
        self.assigns[name] = expression
        return name

    def demand(self, cell: Cell, pin: str, value: str) -> None:
        """Have `text` refuse the cell if the pin's net, where it has one, is not constant, with
        this value."""
        if pin in cell.pins:
            self.demands.append((cell.pins[pin], value, f"pin {pin} of {cell.kind} {cell.name}"))

    def text(self, top: str, ports: Mapping[str, str]) -> str:
        """The module; ports: the net of each. ValueError for a demand that is not met."""
        for net, value, place in self.demands:
            if self.assigns.get(net) != value:
                raise ValueError(f"{place} must be constant, {value}, to be simulated here")
        inputs = [name for name, net in ports.items() if net not in self.driven]
        outputs = [name for name in ports if name not in inputs]
        listed = [f"input {name}" for name in inputs] + [f"output {name}" for name in outputs]
        registers = [one for some in self.clocked.values() for one in some]
        lines = [
            f"module {top}({', '.join(listed)});",
            *(f"wire {ports[name]} = {name};" for name in inputs),
            *(f"reg {one.net} = {one.initial};" for one in registers),
            *(f"wire {net};" for net in self.assigns),
            *self.instances,
            *(f"assign {net} = {expression};" for net, expression in self.assigns.items()),
            *(f"assign {name} = {ports[name]};" for name in outputs),
            *(_block(clocking, some) for clocking, some in self.clocked.items()),
            "endmodule\n",
        ]
        return "\n".join(lines)

    def _drive(self, net: str) -> None:
        if net in self.driven:
            raise ValueError(f"net {net} must have one driver, not two")
        self.driven.add(net)


def lookup(table: str, inputs: Sequence[str]) -> str:
    """The expression of a lookup table. table: the row of all ones first. inputs: the one that
    counts least first."""
    if len(set(table)) == 1:
        return ONE if table[0] == "1" else ZERO
    *rest, last = inputs
    high, low = table[: len(table) // 2], table[len(table) // 2 :]
    if last in (ZERO, ONE):
        return lookup(high if last == ONE else low, rest)
    if len(set(low)) > 1 and high == "".join("10"[int(bit)] for bit in low):
        return f"({last} ^ {lookup(low, rest)})"
    values = lookup(high, rest), lookup(low, rest)
    if values[0] == values[1]:
        return values[0]
    sides = zip((last, f"~{last}"), values, strict=True)
    parts = (
        side if value == ONE else f"{side} & {value}" for side, value in sides if value != ZERO
    )
    return f"({' | '.join(parts)})"


def _block(clocking: Clocking, some: Iterable[FlipFlop]) -> str:
    load = "\n".join(f"{one.net} <= {one.data};" for one in some)
    reset = "\n".join(f"{one.net} <= {one.value};" for one in some)
    edges = clocking.edge
    if clocking.asynchronous:
        edges += f" or posedge {clocking.reset}"
    if clocking.reset == ZERO:
        body = _when(clocking.enable, load)
    elif clocking.reset_first or clocking.asynchronous:
        body = f"if ({clocking.reset}) begin {reset} end else {_when(clocking.enable, load)}"
    else:
        body = _when(
            clocking.enable, f"if ({clocking.reset}) begin {reset} end else begin {load} end"
        )
    return f"always @({edges}) {body}"


def _when(condition: str, body: str) -> str:
    return f"begin {body} end" if condition == ONE else f"if ({condition}) begin {body} end"


def _named(some: Mapping[str, str]) -> str:
    return ", ".join(f".{name}({value})" for name, value in some.items())
