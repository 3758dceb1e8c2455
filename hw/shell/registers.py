"""The registers of the shell: one list, of which hardware, documents and drivers are made."""

from dataclasses import dataclass
from importlib import metadata

from ..external.image import hardware_hash
from ..formats import hardware_formats
from ..program import Program
from ..program_hash import program_hash

WORD = 4  # bytes of a register
ID = 0x41444652  # "ADFR"
LAYERS_AT = 0x400  # offset of LAYER_CYCLES
ADDRESS_WIDTH = 12
MOST_LAYERS = (2**ADDRESS_WIDTH - LAYERS_AT) // WORD
ACCESSES = {"read": "read-only", "write": "write-only", "clear": "read-write"}


@dataclass(frozen=True, kw_only=True)
class Field:
    """`bits` bits of a register from bit `low` on. access: "read"; "write", where a 1 starts what
    the field names; or "clear", where a 1 clears it."""

    name: str
    low: int
    bits: int = 1
    access: str = "read"
    meaning: str

    @property
    def mask(self) -> int:
        return (2**self.bits - 1) << self.low

    @property
    def access_name(self) -> str:
        """read-only, write-only or read-write."""
        return ACCESSES[self.access]


@dataclass(frozen=True, kw_only=True)
class Register:
    """32 bits at a byte offset. fields: none where the whole is one number. value: of a constant.
    writable: whether a driver writes the number, which is 0 at first; always as a whole. count: of
    equal registers, one after the other; 0 for one that stands alone."""

    name: str
    offset: int
    meaning: str
    fields: tuple[Field, ...] = ()
    value: int | None = None
    writable: bool = False
    count: int = 0

    @property
    def access(self) -> str:
        """read-only, write-only or read-write."""
        whole = "read-write" if self.writable else "read-only"
        accesses = {field.access_name for field in self.fields} or {whole}
        return accesses.pop() if len(accesses) == 1 else "read-write"


CONTROL = (
    Field(
        name="RESET",
        low=0,
        access="write",
        meaning="forget the images that have come, and the rest of a packet that has begun",
    ),
    Field(
        name="SELF_TEST", low=1, access="write", meaning="run the stored images, once all is idle"
    ),
    Field(
        name="CLEAR",
        low=2,
        access="write",
        meaning="set the counters to 0, but those of the last image and its layers",
    ),
)
STATUS = (
    Field(name="BUSY", low=0, meaning="an image has begun to come, or its answer is not taken yet"),
    Field(name="TESTING", low=1, meaning="the self-test waits or runs"),
    Field(name="TESTED", low=2, meaning="the self-test has ended since the reset"),
    Field(name="PASSED", low=3, meaning="every class of it was right"),
    Field(name="EARLY", low=8, access="clear", meaning="TLAST came before an image's last word"),
    Field(name="LATE", low=9, access="clear", meaning="no TLAST came with an image's last word"),
)
EXTERNAL_CONTROL = (
    Field(
        name="LOAD",
        low=3,
        access="write",
        meaning="what RESET does, and read the program at BASE; RESET reads it again",
    ),
)
EXTERNAL_STATUS = (
    Field(name="LOADED", low=10, meaning="the program's tables are there; images may come"),
    Field(name="UNKNOWN", low=11, meaning="there is no program for this hardware at BASE"),
    Field(
        name="FAILED",
        low=12,
        meaning="a read was answered with an error since LOAD or RESET; so says bit 30 of answers",
    ),
)
EXTERNAL = {
    "STARVED": "cycles in which an image waited for weights",
    "BASE_LOW": "address of a program's image, a multiple of 4096, low half",
    "BASE_HIGH": "the same, high half",
    "PROGRAM_LOW": "hash of the program that is loaded, low half",
    "PROGRAM_HIGH": "the same, high half",
}
MAPS = {
    "MAPS_LOW": "address of the external memory for maps, a multiple of 4096, low half; set before "
    "LOAD",
    "MAPS_HIGH": "the same, high half",
}
WRITABLE = ("BASE_LOW", "BASE_HIGH", "MAPS_LOW", "MAPS_HIGH")


def register_map(program: Program) -> tuple[Register, ...]:
    """Every register of the shell of this program's accelerator, by offset. ValueError when the
    program has more layers than there are addresses for."""
    if len(program.layers) > MOST_LAYERS:
        raise ValueError(
            f"a shell must have at most {MOST_LAYERS} layers to count, not {len(program.layers)}"
        )
    external = program.config.external != "none"
    formats = hardware_formats(program)
    digest = known_hash(program)
    counters = {
        "IMAGES": "images answered",
        "REFUSED": "of them, packets whose TLAST came early or late",
        "IMAGE_CYCLES": "cycles of the last image, from its first layer's first to its last's last",
        "WAITED": "cycles in which nothing was there to work on",
        "STALLED": "cycles in which an answer was not taken",
    }
    constants = {
        "ID": (ID, '"ADFR": an AdderForge accelerator'),
        "VERSION": (version_number(), "of AdderForge: major, minor and patch, a byte each"),
        "HASH_LOW": (int(digest[8:], 16), "of the configuration and its program, low half"),
        "HASH_HIGH": (int(digest[:8], 16), "the same, high half"),
        "IMAGE_WORDS": (program.image.words, "words of an image's packet"),
        "CLASSES": (program.classes, "of the network"),
        "LAYERS": (len(program.layers), "of the network"),
    }
    if external:
        for name in ("IMAGE_WORDS", "CLASSES", "LAYERS"):  # as the program that is loaded has them
            constants[name] = (None, constants[name][1])
    registers = [
        Register(name=name, offset=WORD * index, meaning=meaning, value=value)
        for index, (name, (value, meaning)) in enumerate(constants.items())
    ]
    control, status = CONTROL, STATUS
    if external:
        control, status = CONTROL + EXTERNAL_CONTROL, STATUS + EXTERNAL_STATUS
        counters |= EXTERNAL | (MAPS if program.config.external == "maps" else {})
    registers += [
        Register(name="CONTROL", offset=0x20, meaning="what a 1 starts", fields=control),
        Register(name="STATUS", offset=0x24, meaning="a 1 clears EARLY and LATE", fields=status),
    ]
    registers += [
        Register(
            name=name,
            offset=0x28 + WORD * index,
            meaning=meaning,
            writable=name in WRITABLE,
        )
        for index, (name, meaning) in enumerate(counters.items())
    ]
    layers = Register(
        name="LAYER_CYCLES",
        offset=LAYERS_AT,
        meaning="cycles of each layer of the last image, until the next one's first",
        count=formats.layers,
    )
    return *registers, layers


def known_hash(program: Program) -> str:
    """What HASH says: it names the program with its configuration, or, where programs come from an
    external memory, the hardware that runs them."""
    if program.config.external == "none":
        return program_hash(program)
    return hardware_hash(hardware_formats(program))


def version_number() -> int:
    """Of AdderForge: major, minor and patch, a byte each."""
    major, minor, patch = (int(part) for part in metadata.version("adderforge").split(".")[:3])
    return major << 16 | minor << 8 | patch
