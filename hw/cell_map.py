"""A cell library's full adder, as a technology map for Yosys."""

import numpy as np

from .cells import Cell, Library

_INPUTS = np.array([[number >> place & 1 for number in range(8)] for place in range(3)], bool)
_SUM = _INPUTS.sum(axis=0) % 2 == 1
_CARRY = _INPUTS.sum(axis=0) >= 2


def full_adder_cell(library: Library) -> str | None:
    """The name of the smallest cell that is a full adder, no more and no less; None if there is
    none."""
    found = [(cell.area_um2, cell.name) for cell in library.cells.values() if _pins(cell)]
    return min(found)[1] if found else None


def full_adder_map(library: Library, module: str) -> str:
    """Verilog of `module` (a, b, c, sum, carry) for Yosys' techmap: the library's full adder, or
    plain logic, which the mapper dissolves, where the library has none."""
    name = full_adder_cell(library)
    head = f"module {module}(input a, b, c, output sum, carry);\n"
    if name is None:
        return f"{head}wire p = a ^ b;\nassign sum = p ^ c, carry = (a & b) | (c & p);\nendmodule\n"
    cell = library.cells[name]
    total, carry = _pins(cell)
    inputs = zip((pin.name for pin in cell.inputs), "abc", strict=True)
    pins = [*inputs, (total, "sum"), (carry, "carry")]
    return head + f"{name} cell({', '.join(f'.{pin}({net})' for pin, net in pins)});\nendmodule\n"


def full_adder_stub(library: Library) -> str:
    """Verilog of the library's full adder as an empty module; nothing where it has none."""
    name = full_adder_cell(library)
    if name is None:
        return ""
    cell = library.cells[name]
    ports = [f"input {pin.name}" for pin in cell.inputs]
    ports += [f"output {pin.name}" for pin in cell.outputs]
    return f"(* blackbox *) module {name}({', '.join(ports)});\nendmodule\n"


def _pins(cell: Cell) -> tuple[str, str] | None:
    """The pins of the sum and of the carry, None if the cell is not a full adder."""
    functions = [pin.function for pin in cell.outputs]
    if len(cell.inputs) != 3 or len(functions) != 2 or cell.flip_flop or cell.latch:
        return None
    if cell.area_um2 is None or None in functions:
        return None
    values = dict(zip((pin.name for pin in cell.inputs), _INPUTS, strict=True))
    tables = {pin.function.evaluate(values).tobytes(): pin.name for pin in cell.outputs}
    pins = tables.get(_SUM.tobytes()), tables.get(_CARRY.tobytes())
    return None if None in pins else pins
