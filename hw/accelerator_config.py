"""AcceleratorConfig: the array and the memories around it, from which an accelerator follows."""

from dataclasses import dataclass
from typing import ClassVar

from golden.spec import MAX_WIDTH

from .config import ArrayConfig
from .weight_schedule import TURNAROUND, memory_latency

POOLING_LATENCY = 3
MAX_WORDS = 2**26  # of a memory
EXTERNAL_WIDTHS = (32, 64, 128, 256, 512)


@dataclass(frozen=True, kw_only=True)
class AcceleratorConfig:
    """Parameters of an accelerator; frozen, checked at construction.

    array: a weight-stationary one; the channels of a word of activations, its rows · lanes, are a
    multiple of its cols. activation_words, weight_words, constant_words: sizes of the memories; a
    word holds one pixel's group of channels, the weights of one row of PEs, or the requantizer's
    constants of one tile of filters. map_width: bits of a stored code, the array's width by
    default. requantize: "multiply", or "shift" for a requantizer without multipliers, which runs
    models of that kind alone. external: "none"; "weights" for a program that is streamed from an
    external memory in beats of external_width bits, where weight_words are those that the reader
    keeps in advance; or "maps" for maps in such a memory as well, of which bands of rows are worked
    on. An `xnor` array takes two lanes for a channel, see `hw.array_sums`. Where the array has a
    pipeline, so has what is around it: registers behind memories and loops and in the requantizer.
    ValueError with one line: what, the rule, what it got.
    """

    kinds: ClassVar = {  # of layers, by the PE that computes them
        "complement": ("adder", "mac", "xnor"),
        "two_adder": ("adder", "mac", "xnor"),
        "compare_swap": ("adder", "mac", "xnor"),
        "mac": ("mac", "xnor"),
        "xnor": ("xnor", "mac"),
    }
    array: ArrayConfig
    activation_words: int = 2048
    weight_words: int = 8192
    constant_words: int = 256
    map_width: int | None = None
    requantize: str = "multiply"
    external: str = "none"
    external_width: int = 64

    def __post_init__(self) -> None:
        array = self.array
        if self.map_width is None:
            object.__setattr__(self, "map_width", array.width)
        if array.dataflow != "weight-stationary":
            raise ValueError(
                f"dataflow of an accelerator's array must be 'weight-stationary', "
                f"not {array.dataflow!r}"
            )
        if array.pe not in self.kinds:
            raise ValueError(
                f"pe of an accelerator must be one of {', '.join(self.kinds)}, not {array.pe!r}"
            )
        if array.lanes % self.lanes_per_channel:
            raise ValueError(
                f"lanes must be even for pe 'xnor', two for each channel, not {array.lanes}"
            )
        if self.channels % array.cols:
            raise ValueError(
                f"the channels of a word, {self.channels}, must be a multiple of cols, {array.cols}"
            )
        if not array.width <= self.map_width <= MAX_WIDTH:
            raise ValueError(
                f"map_width must be {array.width} to {MAX_WIDTH} bits, not {self.map_width}"
            )
        if self.requantize not in ("multiply", "shift"):
            raise ValueError(f"requantize must be 'multiply' or 'shift', not {self.requantize!r}")
        if self.external not in ("none", "weights", "maps"):
            raise ValueError(f"external must be 'none', 'weights' or 'maps', not {self.external!r}")
        if self.external_width not in EXTERNAL_WIDTHS:
            raise ValueError(
                f"external_width must be one of {', '.join(map(str, EXTERNAL_WIDTHS))}, "
                f"not {self.external_width}"
            )
        for name in ("activation_words", "weight_words", "constant_words"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
            if getattr(self, name) > MAX_WORDS:
                raise ValueError(f"{name} must be at most {MAX_WORDS}, not {getattr(self, name)}")

    @property
    def lanes_per_channel(self) -> int:
        return 2 if self.array.pe == "xnor" else 1

    @property
    def channels(self) -> int:
        """Channels in a word of activations."""
        return self.array.rows * self.array.lanes // self.lanes_per_channel

    @property
    def parts(self) -> int:
        """Tiles of filters in a word of activations."""
        return self.channels // self.array.cols

    @property
    def word_beats(self) -> int:
        """Beats of a word of weights from an external memory."""
        array = self.array
        return -(-array.cols * array.lanes * array.width // self.external_width)

    @property
    def map_beats(self) -> int:
        """Beats of a word of activations in an external memory."""
        return -(-self.channels * self.map_width // self.external_width)

    @property
    def shortest_pass(self) -> int:
        """Cycles in which the next weights are loaded, and after which a sum can be read anew."""
        beats = 1 if self.external == "none" else self.word_beats
        return max(self.array.rows * beats, TURNAROUND)

    @property
    def stages(self) -> int:
        """Registers more where there is a pipeline: 1, or 0 without."""
        return min(self.array.pipeline, 1)

    @property
    def operand_latency(self) -> int:
        """Cycles from a turn of the loops to its activations at the array: the memory, and a
        register; with a pipeline, registers behind the loops, behind the memory's banks and two
        behind the choice of one as well."""
        return 2 + 4 * self.stages

    @property
    def weight_latency(self) -> int:
        """Cycles from where weights are read to the array, as many as to their swap, which with a
        pipeline is one later than their start."""
        return self.operand_latency - 1 - self.stages

    @property
    def constant_latency(self) -> int:
        """Cycles from sums to the requantizer, in which its constants are read; with a pipeline,
        registers behind the loops, the memories' banks and the choice of one as well."""
        return 1 + 3 * self.stages

    @property
    def requantizer_latency(self) -> int:
        return 3 + 2 * self.stages

    @property
    def code_latency(self) -> int:
        """Cycles from an activation's turn to its sum's code."""
        outside = self.operand_latency + self.constant_latency + self.requantizer_latency
        return memory_latency(self.array) + outside

    @property
    def drain(self) -> int:
        """Cycles from a layer's last turn to the next layer's first: to the code, through the
        pooling, 1 to write it, or 3 with a pipeline, and 1 for the next layer's descriptor."""
        return self.code_latency + POOLING_LATENCY + 2 + 2 * self.stages

    @property
    def answer_latency(self) -> int:
        """Cycles from the last layer's last turn to the answer: 1 for each round of the
        tournament between filters, 1 for the match with the tiles before."""
        return self.code_latency + (self.array.cols - 1).bit_length() + 1
