"""AXI4-Lite, of 32 bits, for registers."""

from amaranth import Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

OKAY, SLVERR = 0, 2

# Names, directions seen by the shell, and widths (None: of an address), as tools expect them.
PORTS = {
    "awaddr": (In, None),
    "awprot": (In, 3),
    "awvalid": (In, 1),
    "awready": (Out, 1),
    "wdata": (In, 32),
    "wstrb": (In, 4),
    "wvalid": (In, 1),
    "wready": (Out, 1),
    "bresp": (Out, 2),
    "bvalid": (Out, 1),
    "bready": (In, 1),
    "araddr": (In, None),
    "arprot": (In, 3),
    "arvalid": (In, 1),
    "arready": (Out, 1),
    "rdata": (Out, 32),
    "rresp": (Out, 2),
    "rvalid": (Out, 1),
    "rready": (In, 1),
}


def axi_lite_members(prefix: str, address_width: int) -> dict:
    """Flat members of these names, as a component has them."""
    return {f"{prefix}_{name}": flow(bits or address_width) for name, (flow, bits) in PORTS.items()}


class AxiLite(Component):
    """Turns the five channels into one read or one write at a time. A write is taken when address
    and data are both there; a read is answered two cycles after its address. What `known` does not
    confirm is answered with SLVERR.

    Members
    -------
    axi_… : the channels
    read : `read_address` is asked for; its data are due one cycle later
    read_address : in bytes
    read_data : of the address of the cycle before
    read_known : there is such a register to read
    write : `write_data` is for `write_address`
    write_address : in bytes
    write_data : bytes that are not to be written are 0
    write_known : there is such a register to write
    """

    def __init__(self, address_width: int):
        super().__init__(
            axi_lite_members("axi", address_width)
            | {
                "read": Out(1),
                "read_address": Out(address_width),
                "read_data": In(32),
                "read_known": In(1),
                "write": Out(1),
                "write_address": Out(address_width),
                "write_data": Out(32),
                "write_known": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._write(m)
        self._read(m)
        return m

    def _write(self, m: Module) -> None:
        strobed = [self.axi_wstrb[byte].replicate(8) for byte in range(4)]
        m.d.comb += [
            self.write.eq(self.axi_awvalid & self.axi_wvalid & ~self.axi_bvalid),
            self.axi_awready.eq(self.write),
            self.axi_wready.eq(self.write),
            self.write_address.eq(self.axi_awaddr),
            *(
                self.write_data.word_select(byte, 8).eq(
                    self.axi_wdata.word_select(byte, 8) & strobed[byte]
                )
                for byte in range(4)
            ),
        ]
        with m.If(self.write):
            m.d.sync += [
                self.axi_bvalid.eq(1),
                self.axi_bresp.eq(Mux(self.write_known, OKAY, SLVERR)),
            ]
        with m.Elif(self.axi_bready):
            m.d.sync += self.axi_bvalid.eq(0)

    def _read(self, m: Module) -> None:
        asked = Signal()
        m.d.comb += [
            self.read.eq(self.axi_arvalid & self.axi_arready),
            self.axi_arready.eq(~asked & ~self.axi_rvalid),
            self.read_address.eq(self.axi_araddr),
        ]
        m.d.sync += asked.eq(self.read)
        with m.If(asked):
            m.d.sync += [
                self.axi_rvalid.eq(1),
                self.axi_rdata.eq(Mux(self.read_known, self.read_data, 0)),
                self.axi_rresp.eq(Mux(self.read_known, OKAY, SLVERR)),
            ]
        with m.Elif(self.axi_rready):
            m.d.sync += self.axi_rvalid.eq(0)
