"""What a board says of itself. Needs no Amaranth, as hosts have none."""

from dataclasses import replace

from ..program import Program
from ..shell.registers import ID, program_hash, version_number
from .protocol import Description
from .weight_cells import weight_chunks


def description(program: Program, loads: bool = False) -> Description:
    """What a board with this program says of itself. loads: it must be given the weights."""
    return Description(
        identity=ID,
        version=version_number(),
        program=int(program_hash(for_any_fabric(program)), 16),
        image_words=program.image.words,
        word_bytes=-(-program.word_bits // 8),
        classes=program.classes,
        chunks=len(weight_chunks(program)) if loads else 0,
    )


def for_any_fabric(program: Program) -> Program:
    """The same on every fabric, so that a host need not know the board's."""
    array = program.config.array.model_copy(update={"target": "generic"})
    config = replace(program.config, array=array)
    layers = tuple(replace(layer, config=config) for layer in program.layers)
    return replace(program, config=config, layers=layers)
