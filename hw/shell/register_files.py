"""The register map for readers and tools: JSON, Markdown, a C header, CMSIS-SVD."""

import json
from dataclasses import asdict
from xml.etree import ElementTree as Tree

from .registers import ADDRESS_WIDTH, WORD, Field, Register


def register_files(registers: tuple[Register, ...], name: str) -> dict[str, str]:
    """Texts by file name. name: of the accelerator, in titles."""
    return {
        "registers.json": _json(registers, name),
        "registers.md": _markdown(registers, name),
        "adderforge_registers.h": _header(registers, name),
        "adderforge.svd": _svd(registers, name),
    }


def _json(registers: tuple[Register, ...], name: str) -> str:
    content = [asdict(register) | {"access": register.access} for register in registers]
    return json.dumps({"name": name, "word_bytes": WORD, "registers": content}, indent=1) + "\n"


def _markdown(registers: tuple[Register, ...], name: str) -> str:
    lines = [f"# Registers of {name}", ""]
    lines += ["32 bits each; offsets in bytes. Fields that are not named read as 0.", ""]
    lines += ["| offset | name | access | value | meaning |", "| --- | --- | --- | --- | --- |"]
    for register in registers:
        value = "" if register.value is None else f"0x{register.value:08X}"
        counted = f"[{register.count}]" if register.count else ""
        lines.append(
            f"| 0x{register.offset:03X} | {register.name}{counted} | {register.access} | {value} "
            f"| {register.meaning} |"
        )
    lines += ["", "| field | bits | a 1 | meaning |", "| --- | --- | --- | --- |"]
    acts = {"read": "", "write": "starts it", "clear": "clears it"}
    for register in registers:
        for field in register.fields:
            cells = (f"{register.name}.{field.name}", _span(field), acts[field.access])
            lines.append(f"| {' | '.join(cells)} | {field.meaning} |")
    return "\n".join(lines) + "\n"


def _span(field: Field) -> str:
    top = field.low + field.bits - 1
    return str(top) if field.bits == 1 else f"{top}:{field.low}"


def _header(registers: tuple[Register, ...], name: str) -> str:
    lines = [f"/* Registers of {name}: byte offsets, constant values, masks of fields. */"]
    lines += ["#ifndef ADDERFORGE_REGISTERS_H", "#define ADDERFORGE_REGISTERS_H", ""]
    for register in registers:
        lines.append(f"/* {register.access}: {register.meaning} */")
        suffix, shown = ("(i)", f"(0x{register.offset:03X}u + {WORD}u * (i))")
        if not register.count:
            suffix, shown = "", f"0x{register.offset:03X}u"
        lines.append(f"#define ADDERFORGE_{register.name}{suffix} {shown}")
        if register.count:
            lines.append(f"#define ADDERFORGE_{register.name}_COUNT {register.count}u")
        if register.value is not None:
            lines.append(f"#define ADDERFORGE_{register.name}_VALUE 0x{register.value:08X}u")
        for field in register.fields:
            macro = f"ADDERFORGE_{register.name}_{field.name}"
            lines.append(f"#define {macro} 0x{field.mask:08X}u /* {field.meaning} */")
    return "\n".join([*lines, "", "#endif", ""])


def _svd(registers: tuple[Register, ...], name: str) -> str:
    device = Tree.Element("device", schemaVersion="1.3")
    facts = {"name": "ADDERFORGE", "version": "1.0", "description": name}
    _texts(device, facts | {"addressUnitBits": 8, "width": 8 * WORD, "size": 8 * WORD})
    peripheral = Tree.SubElement(Tree.SubElement(device, "peripherals"), "peripheral")
    _texts(peripheral, {"name": "ADDERFORGE", "baseAddress": "0x0"})
    block = Tree.SubElement(peripheral, "addressBlock")
    _texts(block, {"offset": "0x0", "size": f"0x{2**ADDRESS_WIDTH:X}", "usage": "registers"})
    listed = Tree.SubElement(peripheral, "registers")
    for register in registers:
        _svd_register(listed, register)
    Tree.indent(device)
    return Tree.tostring(device, encoding="unicode", xml_declaration=True) + "\n"


def _svd_register(listed: Tree.Element, register: Register) -> None:
    element = Tree.SubElement(listed, "register")
    if register.count:
        _texts(element, {"dim": register.count, "dimIncrement": WORD})
    title = register.name + ("[%s]" if register.count else "")
    _texts(element, {"name": title, "description": register.meaning})
    _texts(element, {"addressOffset": f"0x{register.offset:X}", "access": register.access})
    _texts(element, {"resetValue": f"0x{register.value or 0:X}"})
    if register.fields:
        fields = Tree.SubElement(element, "fields")
    for field in register.fields:
        one = Tree.SubElement(fields, "field")
        _texts(one, {"name": field.name, "description": field.meaning})
        _texts(one, {"bitOffset": field.low, "bitWidth": field.bits})
        _texts(one, {"access": field.access_name})
        if field.access == "clear":
            _texts(one, {"modifiedWriteValues": "oneToClear"})


def _texts(parent: Tree.Element, texts: dict[str, object]) -> None:
    for tag, text in texts.items():
        Tree.SubElement(parent, tag).text = str(text)
