"""What a board says of itself. Needs no Amaranth, as hosts have none."""

from ..program import Program
from ..shell.registers import ID, program_hash, version_number
from .protocol import Description


def description(program: Program) -> Description:
    """What a board with this program says of itself."""
    return Description(
        identity=ID,
        version=version_number(),
        program=int(program_hash(program), 16),
        image_words=program.image.words,
        word_bytes=-(-program.word_bits // 8),
        classes=program.classes,
    )
