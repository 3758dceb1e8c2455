"""AXI4, as masters of an external memory have it."""

from amaranth import Module
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import Component, In, Out

ADDRESS_WIDTH = 64
PAGE = 4096  # bytes; no burst crosses from one to the next
MOST_BEATS = 256  # of a burst
INCREMENTING, CACHEABLE = 1, 0b0011  # AxBURST; AxCACHE, normal memory that may be buffered

# Names, directions seen by the master, and widths (None: of data; a string: of strobes), as tools
# expect them.
_ADDRESS = {
    "id": 1,
    "addr": ADDRESS_WIDTH,
    "len": 8,
    "size": 3,
    "burst": 2,
    "lock": 1,
    "cache": 4,
    "prot": 3,
    "qos": 4,
    "valid": 1,
}
READ_PORTS = {f"ar{name}": (Out, bits) for name, bits in _ADDRESS.items()} | {
    "arready": (In, 1),
    "rid": (In, 1),
    "rdata": (In, None),
    "rresp": (In, 2),
    "rlast": (In, 1),
    "rvalid": (In, 1),
    "rready": (Out, 1),
}
WRITE_PORTS = {f"aw{name}": (Out, bits) for name, bits in _ADDRESS.items()} | {
    "awready": (In, 1),
    "wdata": (Out, None),
    "wstrb": (Out, "strobes"),
    "wlast": (Out, 1),
    "wvalid": (Out, 1),
    "wready": (In, 1),
    "bid": (In, 1),
    "bresp": (In, 2),
    "bvalid": (In, 1),
    "bready": (Out, 1),
}
COMMAND = StructLayout({"at": 32, "beats": 32})  # where it starts, in beats from a base, and length


def axi_members(ports: dict, prefix: str, data_width: int) -> dict:
    """Flat members of these names, as a component has them."""
    widths = {None: data_width, "strobes": data_width // 8}
    return {
        f"{prefix}_{name}": flow(widths.get(bits, bits)) for name, (flow, bits) in ports.items()
    }


def connect_axi(
    m: Module, ports: dict, outer: Component, prefix: str, inner: Component, inner_prefix: str
) -> None:
    """The ports of a component to those of one inside it."""
    for name, (flow, _) in ports.items():
        out, within = getattr(outer, f"{prefix}_{name}"), getattr(inner, f"{inner_prefix}_{name}")
        m.d.comb += within.eq(out) if flow is In else out.eq(within)


def longest_burst(beat: int, room: int = 4 * MOST_BEATS) -> int:
    """Beats of it, of `beat` bytes each: a power of two, so that it ends where a page does, and a
    quarter of the room, so that others are on their way while one is used up."""
    return 2 ** (min(MOST_BEATS, PAGE // beat, room // 4).bit_length() - 1)
