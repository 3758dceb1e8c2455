"""A part of the cocotb benches of IP blocks: AXI's rule for what a block offers."""

from itertools import product

import cocotb
from cocotb.triggers import FallingEdge

OFFERED = {  # what a block's channels offer with `valid`
    "m_axis_t": ("data", "last"),
    "s_axi_b": ("resp",),
    "s_axi_r": ("data", "resp"),
} | {
    f"{prefix}_{channel}": names
    for prefix, (channel, names) in product(
        ("m_axi", "m_axi_maps"),
        {
            "ar": ("addr", "len", "size", "burst"),
            "aw": ("addr", "len", "size", "burst"),
            "w": ("data", "strb", "last"),
        }.items(),
    )
}


def watch(dut: object) -> list[str]:
    """From now on every channel that the block has; what was withdrawn or changed before it was
    taken comes into the list. A reset of the whole block may do so."""
    found: list[str] = []
    for channel, names in OFFERED.items():
        if hasattr(dut, f"{channel}valid"):
            cocotb.start_soon(_watch(dut, channel, names, found))
    return found


async def _watch(dut: object, channel: str, names: tuple[str, ...], found: list[str]) -> None:
    valid, ready, *payload = (
        getattr(dut, f"{channel}{name}") for name in ("valid", "ready", *names)
    )
    before = None
    while True:
        await FallingEdge(dut.aclk)  # all is settled for the next rising edge
        now = [str(one.value) for one in payload] if valid.value == 1 else None
        if before and dut.aresetn.value == 1 and now != before:
            found.append(f"{channel}valid with {before} became {now} before it was taken")
        before = now if ready.value == 0 else None
