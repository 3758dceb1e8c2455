"""What a board says of itself. Needs no Amaranth, as hosts have none."""

from dataclasses import replace

from ..program import Program
from ..shell.registers import ID, program_hash, version_number
from .protocol import Description


def description(program: Program) -> Description:
    """What a board with this program says of itself."""
    return Description(
        identity=ID,
        version=version_number(),
        program=int(program_hash(_for_any_fabric(program)), 16),
        image_words=program.image.words,
        word_bytes=-(-program.word_bits // 8),
        classes=program.classes,
    )


def _for_any_fabric(program: Program) -> Program:
    """The same on every fabric, so that a host need not know the board's."""
    array = program.config.array.model_copy(update={"target": "generic"})
    config = replace(program.config, array=array)
    layers = tuple(replace(layer, config=config) for layer in program.layers)
    return replace(program, config=config, layers=layers)
