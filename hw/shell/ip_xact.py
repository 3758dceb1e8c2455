"""IP-XACT (IEEE 1685-2009) of an accelerator's IP block, with the bus names that Vivado knows."""

from collections.abc import Iterable
from importlib import metadata
from xml.etree import ElementTree as Tree

from amaranth import Shape
from amaranth.lib.wiring import In, Signature

from .registers import ADDRESS_WIDTH, WORD, Field, Register

NAMESPACE = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"
BUSES = {  # by prefix: (bus, role)
    "s_axis": ("axis", "slave"),
    "m_axis": ("axis", "master"),
    "s_axi": ("aximm", "slave"),
    "m_axi": ("aximm", "master"),  # only with an external memory
    "m_axi_maps": ("aximm", "master"),  # only with maps there
}
MAP = "registers"


def ip_xact(
    signature: Signature, registers: tuple[Register, ...], top: str, files: Iterable[str]
) -> str:
    """The component's description. signature: of `hw.shell.shell.Shell`; top: its module, with
    aclk and aresetn; files: of Verilog."""
    Tree.register_namespace("spirit", NAMESPACE)
    component = Tree.Element(_tag("component"))
    version = metadata.version("adderforge")
    names = {"vendor": "adderforge", "library": "accelerators", "name": top, "version": version}
    _texts(component, names)
    buses = Tree.SubElement(component, _tag("busInterfaces"))
    there = {name.rpartition("_")[0] for name in signature.members}
    present = {prefix: bus for prefix, bus in BUSES.items() if prefix in there}
    for prefix, (bus, role) in present.items():
        _bus(buses, prefix, bus, role, signature)
    _clock_and_reset(buses, present)
    masters = [prefix for prefix, bus in present.items() if bus == ("aximm", "master")]
    if masters:
        width = Shape.cast(signature.members["m_axi_rdata"].shape).width
        _address_spaces(component, masters, width)
    _memory_map(component, registers)
    _model(component, signature, top)
    _files(component, files)
    Tree.indent(component)
    return Tree.tostring(component, encoding="unicode", xml_declaration=True) + "\n"


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _texts(parent: Tree.Element, texts: dict[str, object]) -> None:
    for tag, text in texts.items():
        Tree.SubElement(parent, _tag(tag)).text = str(text)


def _interface(
    buses: Tree.Element, name: str, library: str, bus: str, role: str, ports: dict[str, str]
) -> Tree.Element:
    """A bus interface whose logical ports are these physical ones."""
    interface = Tree.SubElement(buses, _tag("busInterface"))
    _texts(interface, {"name": name})
    for tag, suffix in (("busType", ""), ("abstractionType", "_rtl")):
        place = {"vendor": "xilinx.com", "library": library, "name": bus + suffix, "version": "1.0"}
        Tree.SubElement(interface, _tag(tag), {_tag(key): text for key, text in place.items()})
    side = Tree.SubElement(interface, _tag(role))
    if bus == "aximm" and role == "master":
        Tree.SubElement(side, _tag("addressSpaceRef"), {_tag("addressSpaceRef"): name})
    elif bus == "aximm":
        Tree.SubElement(side, _tag("memoryMapRef"), {_tag("memoryMapRef"): MAP})
    listed = Tree.SubElement(interface, _tag("portMaps"))
    for logical, physical in ports.items():
        pair = Tree.SubElement(listed, _tag("portMap"))
        _texts(Tree.SubElement(pair, _tag("logicalPort")), {"name": logical})
        _texts(Tree.SubElement(pair, _tag("physicalPort")), {"name": physical})
    return interface


def _bus(buses: Tree.Element, prefix: str, bus: str, role: str, signature: Signature) -> None:
    names = [name for name in signature.members if name.rpartition("_")[0] == prefix]
    ports = {name.rpartition("_")[2].upper(): name for name in names}
    _interface(buses, prefix, "interface", bus, role, ports)


def _clock_and_reset(buses: Tree.Element, present: Iterable[str]) -> None:
    clock = _interface(buses, "aclk", "signal", "clock", "slave", {"CLK": "aclk"})
    of_clock = {"ASSOCIATED_BUSIF": ":".join(present), "ASSOCIATED_RESET": "aresetn"}
    _parameters(clock, of_clock)
    reset = _interface(buses, "aresetn", "signal", "reset", "slave", {"RST": "aresetn"})
    _parameters(reset, {"POLARITY": "ACTIVE_LOW"})


def _parameters(parent: Tree.Element, values: dict[str, str]) -> None:
    listed = Tree.SubElement(parent, _tag("parameters"))
    for name, value in values.items():
        _texts(Tree.SubElement(listed, _tag("parameter")), {"name": name, "value": value})


def _address_spaces(component: Tree.Element, masters: Iterable[str], data_width: int) -> None:
    """Of each master, all that its addresses reach."""
    spaces = Tree.SubElement(component, _tag("addressSpaces"))
    for name in masters:
        space = Tree.SubElement(spaces, _tag("addressSpace"))
        _texts(space, {"name": name, "range": hex(2**64), "width": data_width})


def _memory_map(component: Tree.Element, registers: tuple[Register, ...]) -> None:
    memory_map = Tree.SubElement(Tree.SubElement(component, _tag("memoryMaps")), _tag("memoryMap"))
    _texts(memory_map, {"name": MAP})
    block = Tree.SubElement(memory_map, _tag("addressBlock"))
    _texts(block, {"name": MAP, "baseAddress": 0, "range": 2**ADDRESS_WIDTH, "width": 8 * WORD})
    _texts(block, {"usage": "register"})
    for register in registers:
        _register(block, register)


def _register(block: Tree.Element, register: Register) -> None:
    element = Tree.SubElement(block, _tag("register"))
    _texts(element, {"name": register.name, "description": register.meaning})
    if register.count:
        _texts(element, {"dim": register.count})
    _texts(element, {"addressOffset": hex(register.offset), "size": 8 * WORD})
    _texts(element, {"access": register.access})
    for field in register.fields:
        _field(element, field)


def _field(element: Tree.Element, field: Field) -> None:
    one = Tree.SubElement(element, _tag("field"))
    _texts(one, {"name": field.name, "description": field.meaning})
    _texts(one, {"bitOffset": field.low, "bitWidth": field.bits, "access": field.access_name})


def _model(component: Tree.Element, signature: Signature, top: str) -> None:
    model = Tree.SubElement(component, _tag("model"))
    view = Tree.SubElement(Tree.SubElement(model, _tag("views")), _tag("view"))
    _texts(view, {"name": "rtl", "envIdentifier": ":vivado.xilinx.com:synthesis"})
    _texts(view, {"language": "verilog", "modelName": top})
    _texts(Tree.SubElement(view, _tag("fileSetRef")), {"localName": "rtl"})
    ports = Tree.SubElement(model, _tag("ports"))
    sizes = {"aclk": (1, "in"), "aresetn": (1, "in")}
    for name, member in signature.members.items():
        direction = "in" if member.flow is In else "out"
        sizes[name] = (Shape.cast(member.shape).width, direction)
    for name, (bits, direction) in sizes.items():
        port = Tree.SubElement(ports, _tag("port"))
        _texts(port, {"name": name})
        wire = Tree.SubElement(port, _tag("wire"))
        _texts(wire, {"direction": direction})
        if bits > 1:
            _texts(Tree.SubElement(wire, _tag("vector")), {"left": bits - 1, "right": 0})


def _files(component: Tree.Element, files: Iterable[str]) -> None:
    listed = Tree.SubElement(Tree.SubElement(component, _tag("fileSets")), _tag("fileSet"))
    _texts(listed, {"name": "rtl"})
    for name in files:
        entry = Tree.SubElement(listed, _tag("file"))
        _texts(entry, {"name": name, "fileType": "verilogSource"})
