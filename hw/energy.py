"""Energy per operation of a mapped netlist, from the number of transitions of each net.

Every figure comes from the Liberty library; C is the sum of the input pin capacitances that a
net drives. There is no wire load: figures are before placement, for comparing designs.
"""

from dataclasses import dataclass

import numpy as np

from .netlist import Instances, Netlist

SLEW_NS = 0.05
PARTS = ("flip_flops", "clock", "logic", "leakage")


@dataclass(frozen=True, kw_only=True)
class EnergyReport:
    """pj_per_op: sum of parts. parts: pJ per operation in "flip_flops" (their outputs and data
    pins), "clock" (their clock pins), "logic" (all other gates and what input ports drive) and
    "leakage" (None where the library has no figure for a cell, and then not in the sum).
    glitch_share: share of the transitions' energy that a zero-delay simulation does not see,
    None where that was not measured. cycles: clock cycles of all streams. activity:
    "gate-delay" or "zero-delay"."""

    pj_per_op: float
    glitch_share: float | None
    parts: dict[str, float | None]
    operations: int
    cycles: int
    activity: str


def energy(
    netlist: Netlist,
    toggles: np.ndarray,
    *,
    cycles: int,
    operations: int,
    clock_mhz: float,
    activity: str = "zero-delay",
    glitch_share: float | None = None,
) -> EnergyReport:
    """Returns the energy that `toggles` transitions, (nets,), cost in `cycles` clock cycles.

    Per transition of a net: ½CV², its driver's internal energy at load C, and the internal energy
    of each input pin it drives, all at an input slew of SLEW_NS, mean of rise and fall. The clock
    makes two transitions a cycle. Leakage power × cycles / clock_mhz. Raises ValueError if a
    number is not positive or toggles does not fit the netlist.
    """
    for name, value in {"cycles": cycles, "operations": operations, "clock_mhz": clock_mhz}.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, not {value}; simulate at least one cycle")
    if np.shape(toggles) != (netlist.net_count,):
        raise ValueError(
            f"toggles must be one number for each of the {netlist.net_count} nets, not "
            f"{np.shape(toggles)}; take them from a simulation of this netlist"
        )
    parts = dict.fromkeys(PARTS, 0.0) | _transitions(netlist, np.asarray(toggles), cycles)
    parts["leakage"] = _leakage_pj(netlist, cycles / clock_mhz)
    parts = {name: None if part is None else part / operations for name, part in parts.items()}
    return EnergyReport(
        pj_per_op=sum(part for part in parts.values() if part is not None),
        glitch_share=glitch_share,
        parts=parts,
        operations=operations,
        cycles=cycles,
        activity=activity,
    )


def loads_pf(netlist: Netlist) -> np.ndarray:
    """Returns each net's load in pF, (nets,): the capacitances of the input pins it drives."""
    loads = np.zeros(netlist.net_count)
    for some in netlist.instances.values():
        for pin in some.cell.inputs:
            np.add.at(loads, some.nets[pin.name], pin.capacitance_pf)
    return loads


def _transitions(netlist: Netlist, toggles: np.ndarray, cycles: int) -> dict[str, float]:
    """Returns the parts that transitions cost, in pJ."""
    clock = netlist.inputs[netlist.clock] if netlist.clock else []
    toggles = toggles.copy()
    toggles[clock] = 2 * cycles
    loads = loads_pf(netlist)
    switching = loads * netlist.library.voltage_v**2 / 2 * toggles
    parts = {"clock": float(switching[clock].sum()), "flip_flops": 0.0, "logic": 0.0}
    switching[clock] = 0
    for some in netlist.instances.values():
        part = "flip_flops" if some.cell.flip_flop else "logic"
        parts["clock"] += _input_pj(some, toggles, clock=True)
        parts[part] += _input_pj(some, toggles) + _output_pj(some, toggles, loads)
        if some.cell.flip_flop:
            nets = np.concatenate([some.nets[pin.name] for pin in some.cell.outputs])
            parts[part] += float(switching[nets].sum())
            switching[nets] = 0
    parts["logic"] += float(switching.sum())
    return parts


def _input_pj(some: Instances, toggles: np.ndarray, *, clock: bool = False) -> float:
    """Returns the internal energy of transitions at the clock pin, or at all other inputs."""
    pins = [pin for pin in some.cell.inputs if (pin.name == some.cell.clock_pin) == clock]
    energies = [pin.energy_pj(SLEW_NS) * toggles[some.nets[pin.name]].sum() for pin in pins]
    return float(sum(energies))


def _output_pj(some: Instances, toggles: np.ndarray, loads: np.ndarray) -> float:
    """Returns the internal energy of the outputs' transitions."""
    energy_pj = 0.0
    for pin in some.cell.outputs:
        nets = some.nets[pin.name]
        each = pin.energy_pj(SLEW_NS, loads[nets], some.cell.clock_pin)
        energy_pj += float((each * toggles[nets]).sum())
    return energy_pj


def _leakage_pj(netlist: Netlist, time_us: float) -> float | None:
    """Returns leakage power × time; nW × µs = 1e-3 pJ."""
    leakages = [(some.cell.leakage_nw, len(some.names)) for some in netlist.instances.values()]
    if any(leakage is None for leakage, _ in leakages):
        return None
    return sum(leakage * count for leakage, count in leakages) * time_us * 1e-3
