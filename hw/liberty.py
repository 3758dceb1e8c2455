"""Reads Liberty files into the cell library of `hw.cells`, in fixed units.

`read_library` converts every figure from the file's own units. Liberty gives no unit for
internal_power: its values are energies per transition in (capacitive_load_unit × voltage_unit²),
for 1 pF and 1 V that is pJ. Source: Liberty User Guide, volume 1, and Reference Manual.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from .boolean import Expression
from .cells import Cell, FlipFlop, Library, Pin, Power, Table, Timing, WireLoad
from .liberty_text import Group, parse_groups, read_text

_SI = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3}
_LOAD, _RELATED = "total_output_net_capacitance", "related_pin_transition"
_FF_INPUTS = ("clocked_on", "next_state", "clear", "preset")


# One Liberty file, plain or gzip, or several whose cells make one library.
Liberty = str | Path | Sequence[str | Path]


def liberty_files(liberty: Liberty) -> tuple[Path, ...]:
    """The files; ValueError when there is none."""
    paths = (liberty,) if isinstance(liberty, str | Path) else liberty
    if not paths:
        raise ValueError("liberty must be at least one file, not none; give a cell library")
    return tuple(Path(path) for path in paths)


def read_library(liberty: Liberty) -> Library:
    """Returns the library in a Liberty file, or what several hold together, such as cells and SRAM.

    Raises ValueError if one is no Liberty file, has other units of time, capacitance or voltage or
    another supply than the first, whose figures synthesis sets beside its own, or gives a cell that
    another one gives. Of wire models with one name the first file's is taken.
    """
    paths = liberty_files(liberty)
    first, *others = (_read(path) for path in paths)
    library = first.library
    for path, other in zip(paths[1:], others, strict=True):
        for name, unit in other.units.items():
            if unit != first.units[name]:
                raise ValueError(
                    f"{path}: {name} must be {first.units[name]} as in {paths[0]}, not {unit}; "
                    "give libraries of the same units and supply"
                )
        if common := sorted(library.cells.keys() & other.library.cells.keys()):
            raise ValueError(
                f"{path}: cell {common[0]} must be in one library, but is in another given one "
                "too; give each cell once"
            )
        library = Library(
            name=f"{library.name} + {other.library.name}",
            voltage_v=library.voltage_v,
            cells=library.cells | other.library.cells,
            wire_loads=other.library.wire_loads | library.wire_loads,
        )
    return library


@dataclass(frozen=True)
class _File:
    """What one file holds. units: of its figures and its supply, as text, by Liberty's names."""

    library: Library
    units: dict[str, str]


def _read(path: Path) -> _File:
    text = read_text(path)
    try:
        return _parsed(text, str(path))
    except _FigureError as error:
        raise ValueError(f"{path}, {error}; give an undamaged Liberty file") from None


@lru_cache(maxsize=4)
def _parsed(text: str, source: str) -> _File:
    """Kept, since a run reads its library again and again."""
    reader = _Reader(parse_groups(text, source))
    return _File(reader.library(), reader.units())


class _FigureError(Exception):
    """A figure that is missing or is no number."""


class _Reader:
    """Converts one file's groups; holds its units and its table templates."""

    def __init__(self, root: Group) -> None:
        self._root = root
        number, unit = root.lists.get("capacitive_load_unit", [["1", "pf"]])[-1]
        self._pf = self._unit("capacitive_load_unit", number + unit, "f") / 1e-12
        attributes = root.attributes
        self._ns = self._unit("time_unit", attributes.get("time_unit", "1ns"), "s") / 1e-9
        self._volt = self._unit("voltage_unit", attributes.get("voltage_unit", "1V"), "v")
        power = attributes.get("leakage_power_unit", "1nW")
        self._nw = self._unit("leakage_power_unit", power, "w") / 1e-9
        self._pj = self._pf * self._volt**2
        templates = (*root.all("lu_table_template"), *root.all("power_lut_template"))
        self._templates = {group.names[0]: group for group in templates}

    def _unit(self, name: str, text: str, symbol: str) -> float:
        match = re.fullmatch(rf"([\d.]+)\s*([fpnumk]?){symbol}", text.lower())
        if not match:
            raise _FigureError(f"line {self._root.line}: {name} is {text!r}, which is no unit")
        return float(match[1]) * _SI[match[2]]

    def library(self) -> Library:
        return Library(
            name=self._root.names[0],
            voltage_v=self._voltage() * self._volt,
            cells={group.names[0]: self._cell(group) for group in self._root.all("cell")},
            wire_loads={
                group.names[0]: self._wire_load(group) for group in self._root.all("wire_load")
            },
        )

    def units(self) -> dict[str, str]:
        return {
            "time_unit": f"{self._ns:g} ns",
            "capacitive_load_unit": f"{self._pf:g} pF",
            "voltage_unit": f"{self._volt:g} V",
            "nom_voltage": f"{self._voltage() * self._volt:g} V",
        }

    def _wire_load(self, group: Group) -> WireLoad:
        try:
            points = [(int(p[0]), float(p[1])) for p in group.lists["fanout_length"]]
        except (KeyError, IndexError, ValueError):
            raise _FigureError(
                f"line {group.line}: wire_load must have fanout_length (pins, length)"
            ) from None
        return WireLoad(
            pf_per_length=_figure(group, "capacitance") * self._pf,
            lengths=dict(sorted(points)),
            slope=_figure(group, "slope") if "slope" in group.attributes else 0.0,
        )

    def _voltage(self) -> float:
        if "nom_voltage" in self._root.attributes:
            return _figure(self._root, "nom_voltage")
        conditions = {group.names[0]: group for group in self._root.all("operating_conditions")}
        name = self._root.attributes.get("default_operating_conditions", "")
        return _figure(conditions.get(name, self._root), "voltage")

    def _cell(self, group: Group) -> Cell:
        pins = {name: self._pin(pin, name) for pin in group.all("pin") for name in pin.names}
        flip_flops = group.all("ff")
        return Cell(
            name=group.names[0],
            area_um2=_figure(group, "area") if "area" in group.attributes else None,
            leakage_nw=self._leakage(group),
            leakages=tuple(
                (state.attributes["when"], _figure(state, "value") * self._nw)
                for state in group.all("leakage_power")
                if "when" in state.attributes
            ),
            pins=pins,
            flip_flop=_flip_flop(flip_flops[0]) if flip_flops else None,
            latch=bool(group.all("latch") or group.all("statetable")),
        )

    def _leakage(self, group: Group) -> float | None:
        if "cell_leakage_power" in group.attributes:
            return _figure(group, "cell_leakage_power") * self._nw
        if states := group.all("leakage_power"):
            return float(np.mean([_figure(state, "value") for state in states])) * self._nw
        if "default_cell_leakage_power" in self._root.attributes:
            return _figure(self._root, "default_cell_leakage_power") * self._nw
        return None

    def _pin(self, group: Group, name: str) -> Pin:
        direction = group.attributes.get("direction", "input")
        function = group.attributes.get("function")
        return Pin(
            name=name,
            direction=direction,
            capacitance_pf=self._capacitance(group, f"default_{direction}_pin_cap") * self._pf,
            function=None if function is None else Expression(function),
            clock=group.attributes.get("clock") == "true",
            power=tuple(self._power(power) for power in group.all("internal_power")),
            timing=tuple(self._timing(timing) for timing in group.all("timing")),
        )

    def _capacitance(self, group: Group, default: str) -> float:
        if "capacitance" in group.attributes:
            return _figure(group, "capacitance")
        return _figure(self._root, default) if default in self._root.attributes else 0.0

    def _power(self, group: Group) -> Power:
        both = self._table(group, "power", self._pj)
        return Power(
            related_pins=tuple(group.attributes.get("related_pin", "").split()),
            when=group.attributes.get("when", ""),
            supply=group.attributes.get("related_pg_pin", ""),
            rise=self._table(group, "rise_power", self._pj) or both,
            fall=self._table(group, "fall_power", self._pj) or both,
        )

    def _timing(self, group: Group) -> Timing:
        return Timing(
            related_pins=tuple(group.attributes.get("related_pin", "").split()),
            kind=group.attributes.get("timing_type", "combinational"),
            sense=group.attributes.get("timing_sense", "non_unate"),
            rise=self._table(group, "cell_rise", self._ns),
            fall=self._table(group, "cell_fall", self._ns),
            rise_slew=self._table(group, "rise_transition", self._ns),
            fall_slew=self._table(group, "fall_transition", self._ns),
            rise_constraint=self._table(group, "rise_constraint", self._ns, _RELATED),
            fall_constraint=self._table(group, "fall_constraint", self._ns, _RELATED),
        )

    def _table(self, group: Group, keyword: str, unit: float, second: str = _LOAD) -> Table | None:
        """Returns the table of that keyword in units of `unit`, or None if there is none. second:
        the variable in the place of the load."""
        if not (tables := group.all(keyword)):
            return None
        table = tables[0]
        template = self._templates.get(table.names[0] if table.names else "", table)
        axes = {"slew": np.zeros(1), "load": np.zeros(1)}
        order = []
        for n in ("1", "2"):
            if variable := template.attributes.get(f"variable_{n}"):
                order.append("load" if variable == second else "slew")
                scale = self._pf if variable == _LOAD else self._ns
                axes[order[-1]] = _figures(table, f"index_{n}", template) * scale
        shape = [axes[axis].size for axis in order or ["slew"]]
        values = _figures(table, "values")
        if values.size != np.prod(shape):
            raise _FigureError(f"line {table.line}: {values.size} values for a table of {shape}")
        values = values.reshape(shape) if order[:1] != ["load"] else values.reshape(shape).T
        return Table(axes["slew"], axes["load"], values.reshape(axes["slew"].size, -1) * unit)


def _flip_flop(group: Group) -> FlipFlop:
    names = (group.names * 2)[:2]
    given = {key: Expression(text) for key, text in group.attributes.items() if key in _FF_INPUTS}
    if missing := {"clocked_on", "next_state"} - given.keys():
        raise _FigureError(f"line {group.line}: a flip-flop without {' and '.join(missing)}")
    return FlipFlop(
        state=names[0],
        inverted_state=names[1],
        clocked_on=given["clocked_on"],
        next_state=given["next_state"],
        clear=given.get("clear"),
        preset=given.get("preset"),
    )


def _figure(group: Group, name: str) -> float:
    """Returns the simple attribute as a number; raises _FigureError if it is none."""
    try:
        return float(group.attributes[name])
    except KeyError:
        raise _FigureError(f"line {group.line}: {group.keyword} has no {name}") from None
    except ValueError:
        raise _FigureError(f"line {group.line}: {name} of {group.keyword} is no number") from None


def _figures(group: Group, name: str, template: Group | None = None) -> np.ndarray:
    """Returns the complex attribute as numbers, the template's where the group has none."""
    groups = [group] if template is None else [group, template]
    found = [some.lists[name][-1] for some in groups if name in some.lists]
    try:
        return np.array([float(word) for text in found[:1] for word in ",".join(text).split(",")])
    except ValueError:
        raise _FigureError(f"line {group.line}: {name} holds something that is no number") from None
