"""A netlist as nextpnr writes it after it placed and routed it: cells of the device, with what they
are set to."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Cell:
    """settings: its parameters. pins: the net of each, for those that have one."""

    name: str
    kind: str
    settings: Mapping[str, str]
    attributes: Mapping[str, str]
    pins: Mapping[str, str]

    def net(self, pin: str) -> str:
        """ValueError where it has none."""
        if pin not in self.pins:
            raise ValueError(f"pin {pin} of {self.kind} {self.name} must be on a net")
        return self.pins[pin]

    def bits(self, pattern: str, count: int, default: str) -> str:
        """A bus as Verilog: the pins `pattern` with their numbers, `default` for one without a
        net."""
        nets = (self.pins.get(pattern.format(bit), default) for bit in reversed(range(count)))
        return f"{{{', '.join(nets)}}}"


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """ports: the net of each of the device's pins, by the design's name. cells: by name."""

    ports: Mapping[str, str]
    cells: Mapping[str, Cell]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is understood of a kind of cells. settings: the values of each parameter, a pattern.
    pins: the names of pins, a pattern. write: adds a cell of the kind to Verilog."""

    settings: Mapping[str, str]
    pins: str
    write: Callable

    def check(self, cell: Cell) -> None:
        """ValueError for what is not understood."""
        for name, value in cell.settings.items():
            if not re.fullmatch(self.settings.get(name, "(?!)"), value):
                raise ValueError(
                    f"parameter {name} of {cell.kind} {cell.name} must be one that is simulated "
                    f"here ({self.settings.get(name, 'none of this name')}), not {value}"
                )
        for name in cell.pins:
            if not re.fullmatch(self.pins, name):
                raise ValueError(
                    f"pin {name} of {cell.kind} {cell.name} must be one that is simulated here "
                    f"({self.pins}), or be left open"
                )


def read_netlist(path: Path) -> Netlist:
    """ValueError when there is more than one module, or a constant in place of a net."""
    modules = json.loads(path.read_text(encoding="utf-8"))["modules"]
    if len(modules) != 1:
        raise ValueError(f"{path} must hold one flat module, not {', '.join(modules)}")
    (module,) = modules.values()
    return Netlist(
        ports={name: _net(name, port["bits"]) for name, port in module["ports"].items()},
        cells={name: _cell(name, cell) for name, cell in module["cells"].items()},
    )


def _cell(name: str, cell: dict) -> Cell:
    pins = {pin: _net(f"{name}.{pin}", bits) for pin, bits in cell["connections"].items() if bits}
    settings, attributes = (
        {key: str(value).strip() for key, value in cell[group].items()}
        for group in ("parameters", "attributes")
    )
    kind = cell["type"]
    return Cell(name=name, kind=kind, settings=settings, attributes=attributes, pins=pins)


def _net(place: str, bits: list) -> str:
    if len(bits) != 1 or not isinstance(bits[0], int):
        raise ValueError(f"{place} must be on one net, not on {bits}")
    return f"n{bits[0]}"
