import re

import pytest

from hw.pdk import find_library

SKY = "libs.ref/sky130_fd_sc_hd/lib/sky130_fd_sc_hd__tt_025C_1v80.lib"
GF = "libs.ref/gf180mcu_fd_sc_mcu7t5v0/liberty/gf180mcu_fd_sc_mcu7t5v0__tt_025C_5v00.lib"
IHP = "libs.ref/sg13g2_stdcell/lib/sg13g2_stdcell_typ_1p20V_25C.lib"


@pytest.mark.parametrize(
    ("pdk", "place"), [("sky130A", SKY), ("sky130B", SKY), ("gf180mcuD", GF), ("ihp-sg13g2", IHP)]
)
def test_the_typical_library_of_a_pdk_is_found(tmp_path, pdk, place):
    path = tmp_path / pdk / place
    path.parent.mkdir(parents=True)
    path.write_text("library")
    (path.parent / path.name.replace("t", "s")).write_text("another corner")
    assert find_library(pdk, {"PDK_ROOT": str(tmp_path)}) == path


@pytest.mark.parametrize(
    ("pdk", "root", "error", "message"),
    [
        ("asap7", "/pdks", ValueError, "pdk must be one of the families sky130, gf180mcu, ihp-sg1"),
        ("sky130A", "", ValueError, "pdk sky130A: PDK_ROOT must name the folder of the PDKs, but"),
        ("sky130A", "/none", FileNotFoundError, f"/none/sky130A/{SKY}: no such file; fill PDK_ROO"),
    ],
)
def test_a_pdk_that_is_not_there_is_refused(pdk, root, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        find_library(pdk, {"PDK_ROOT": root})
