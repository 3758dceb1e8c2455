"""A cell library's full and half adders, as technology maps for Yosys."""

import numpy as np

from .cells import Cell, Library

FULL, HALF = 3, 2  # the bits that such an adder adds up


def adder_cell(library: Library, bits: int) -> str | None:
    """The name of the smallest cell that adds up so many bits, no more and no less; None if there
    is none."""
    cells = library.cells.values()
    found = [(cell.area_um2, cell.name) for cell in cells if _pins(cell, bits)]
    return min(found)[1] if found else None


def full_adder_map(library: Library, module: str, cell: str | None) -> str:
    """Verilog of `module` (a, b, c, sum, carry) for Yosys' techmap: that cell, or for None plain
    logic, which the mapper dissolves."""
    head = f"module {module}(input a, b, c, output sum, carry);\n"
    if cell is None:
        return f"{head}wire p = a ^ b;\nassign sum = p ^ c, carry = (a & b) | (c & p);\nendmodule\n"
    return f"{head}{_instance(library.cells[cell], FULL, 'a', 'b', 'c', 'sum', 'carry')}endmodule\n"


def half_adder_map(library: Library, cell: str) -> str:
    """Verilog that puts the cell in the place of the half adders which Yosys' `extract_fa -ha`
    makes, $fa cells of one bit that add a constant 0."""
    constant = "_TECHMAP_CONSTMSK_C_ = 0, _TECHMAP_CONSTVAL_C_ = 0"
    return (
        "module \\$fa (input A, B, C, output X, Y);\n"
        f"parameter WIDTH = 1, {constant};\n"
        "wire _TECHMAP_FAIL_ = WIDTH != 1 || !_TECHMAP_CONSTMSK_C_ || _TECHMAP_CONSTVAL_C_;\n"
        f"{_instance(library.cells[cell], HALF, 'A', 'B', 'Y', 'X')}endmodule\n"
    )


def empty_module(library: Library, cell: str) -> str:
    """Verilog of a cell as an empty module."""
    pins = library.cells[cell]
    ports = [f"input {pin.name}" for pin in pins.inputs]
    ports += [f"output {pin.name}" for pin in pins.outputs]
    return f"(* blackbox *) module {cell}({', '.join(ports)});\nendmodule\n"


def _instance(cell: Cell, bits: int, *nets: str) -> str:
    """nets: of the inputs, the sum and the carry."""
    names = [*(pin.name for pin in cell.inputs), *_pins(cell, bits)]
    pins = ", ".join(f".{pin}({net})" for pin, net in zip(names, nets, strict=True))
    return f"{cell.name} cell({pins});\n"


def _pins(cell: Cell, bits: int) -> tuple[str, str] | None:
    """The pins of the sum and of the carry, None if the cell is no such adder."""
    functions = [pin.function for pin in cell.outputs]
    if len(cell.inputs) != bits or len(functions) != 2 or cell.flip_flop or cell.latch:
        return None
    if cell.area_um2 is None or None in functions:
        return None
    inputs = np.arange(2**bits) >> np.arange(bits)[:, None] & 1
    values = dict(zip((pin.name for pin in cell.inputs), inputs.astype(bool), strict=True))
    total = inputs.sum(axis=0)
    tables = {pin.function.evaluate(values).tobytes(): pin.name for pin in cell.outputs}
    pins = tables.get((total % 2 == 1).tobytes()), tables.get((total >= 2).tobytes())
    return None if None in pins else pins
