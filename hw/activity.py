"""What a gate-level simulation saw of a netlist: the input of `hw.energy`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What a simulation saw. kind: "gate-delay" or "zero-delay". cycles: clock cycles of all
    streams. changes: (nets, 2), falls and rises; the clock's are left out. caused: (cell, output
    pin, input pin) -> (instances, 2), the falls and rises of the output that this input caused;
    where a simulation does not tell, each input's share is that of its own changes. shares: (cell,
    condition) -> (instances,), share of the time for which the condition held."""

    kind: str
    cycles: int
    changes: np.ndarray
    caused: Mapping[tuple[str, str, str], np.ndarray]
    shares: Mapping[tuple[str, str], np.ndarray]
