"""Finds a PDK's cell library in the folders that ciel and volare fill.

There $PDK_ROOT/<pdk>/libs.ref/<cells>/lib, or …/liberty in older builds of GF180MCU, holds the
Liberty files. Source: open_pdks' `libs.tech/openlane/config.tcl` of each PDK.
"""

import os
from collections.abc import Mapping
from pathlib import Path

# The PDK's usual cells, and their file at the typical corner of their usual voltage.
_LIBRARIES = {
    "sky130": ("sky130_fd_sc_hd", "sky130_fd_sc_hd__tt_025C_1v80.lib"),
    "gf180mcu": ("gf180mcu_fd_sc_mcu7t5v0", "gf180mcu_fd_sc_mcu7t5v0__tt_025C_5v00.lib"),
    "ihp-sg13g2": ("sg13g2_stdcell", "sg13g2_stdcell_typ_1p20V_25C.lib"),
}


def find_library(pdk: str, environment: Mapping[str, str] = os.environ) -> Path:
    """The Liberty file of a PDK such as sky130A, gf180mcuD or ihp-sg13g2 under $PDK_ROOT, at the
    typical corner. ValueError for another PDK or when it is not there."""
    found = [library for family, library in _LIBRARIES.items() if pdk.startswith(family)]
    if not found:
        raise ValueError(
            f"pdk must be one of the families {', '.join(_LIBRARIES)}, not {pdk!r}; give the "
            "cell library of another with --liberty"
        )
    if not environment.get("PDK_ROOT"):
        raise ValueError(f"pdk {pdk}: PDK_ROOT must name the folder of the PDKs, but is not set")
    [(cells, name)] = found
    folder = Path(environment["PDK_ROOT"]) / pdk / "libs.ref" / cells
    for place in ("lib", "liberty"):
        if (path := folder / place / name).is_file():
            return path
    raise FileNotFoundError(
        f"{folder / 'lib' / name}: no such file; fill PDK_ROOT with 'ciel', or give --liberty"
    )
