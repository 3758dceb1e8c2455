import itertools
import re

import pytest

from hw.config import ArrayConfig, load_config

KEYS = "pe, width, rows, cols, lanes, depth, dataflow, positions, pipeline, target"

KINDS = ("complement", "min", "two_adder", "compare_swap", "mac", "xnor", "square")
NAMES = f"{', '.join(map(repr, KINDS[:-1]))} or {KINDS[-1]!r}"
every_kind = pytest.mark.parametrize("pe", KINDS)


def configured(pe, width, depth):
    """The configuration; `xnor` takes one bit whatever the width."""
    return ArrayConfig(width=width, depth=depth).twin(pe)


def terms(config):
    """Every term that one lane can add in one cycle, or its corners: terms are convex or linear
    in each operand, so that the lowest and the highest are at corners."""
    top = 2**config.width - 1
    if config.pe == "mac":
        half = 2 ** (config.width - 1)
        return [a * w for a, w in itertools.product((0, top), (-half, half - 1))]
    operands = range(top + 1) if config.width <= 4 else (0, top)
    term = {"min": min, "square": lambda a, w: (a - w) ** 2}.get(config.pe, lambda a, w: abs(a - w))
    return [term(a, w) for a, w in itertools.product(operands, repeat=2)]


def holds(bits, signed, value):
    low = -(2 ** (bits - 1)) if signed else 0
    return low <= value < low + 2**bits


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rows": 0}, "rows must be at least 1, not 0"),
        ({"cols": -1}, "cols must be at least 1, not -1"),
        ({"width": 0}, "width must be at least 1, not 0"),
        ({"width": 1}, "width must be at least 2, not 1"),
        ({"pe": "xnor"}, "width must be 1 for pe 'xnor', whose operands are signs, not 8"),
        ({"width": 17}, "width must be at most 16, not 17"),
        ({"lanes": 0}, "lanes must be at least 1, not 0"),
        ({"lanes": 65}, "lanes must be at most 64, not 65"),
        ({"depth": 0}, "depth must be at least 1, not 0"),
        ({"depth": 2**24 + 1}, "depth must be at most 16777216, not 16777217"),
        ({"rows": "8"}, "rows must be an integer, not '8'"),
        ({"rows": 8.0}, "rows must be an integer, not 8.0"),
        ({"rows": True}, "rows must be an integer, not True"),
        ({"pe": "xor"}, f"pe must be {NAMES}, not 'xor'"),
        ({"pe": 3}, f"pe must be {NAMES}, not 3"),
        (
            {"dataflow": "none"},
            "dataflow must be 'output-stationary' or 'weight-stationary', not 'none'",
        ),
        ({"positions": 0}, "positions must be at least 1, not 0"),
        ({"rows": 1025}, "rows must be at most 1024, not 1025"),
        ({"pipeline": 5}, "pipeline must be 0, 1, 2, 3 or 4, not 5"),
        (
            {"pipeline": 3, "dataflow": "weight-stationary"},
            "pipeline must be 2 at most for dataflow 'weight-stationary', whose sums have a "
            "register in any case, not 3",
        ),
        (
            {"target": "virtex"},
            "target must be 'generic', 'ice40', 'ecp5', 'xilinx7' or 'gowin', not 'virtex'",
        ),
        ({"row": 8}, f"unknown key 'row'; the keys are {KEYS}"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(values, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ArrayConfig(**values)


@pytest.mark.parametrize("width", [2, 16])
@pytest.mark.parametrize("lanes", [1, 64])
@pytest.mark.parametrize("depth", [1, 2**20])
def test_limits_are_accepted(width, lanes, depth):
    config = ArrayConfig(width=width, rows=1, cols=1, lanes=lanes, depth=depth)
    assert (config.width, config.lanes, config.depth) == (width, lanes, depth)


def test_a_configuration_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        ArrayConfig().rows = 4


@every_kind
@pytest.mark.parametrize("width", [2, 3, 4, 8, 16])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 1000, 1024, 1025, 2**20])
def test_the_accumulator_holds_every_sum(pe, width, depth):
    config = configured(pe, width, depth)
    for extreme in (min(terms(config)), max(terms(config))):
        assert holds(config.pe_acc_width, pe == "mac", depth * extreme)


@pytest.mark.parametrize("width", [2, 3, 16])
@pytest.mark.parametrize("depth", [1, 5, 1024])
def test_what_leaves_a_min_array_is_the_sad_less_the_weights_and_fits(width, depth):
    config, top = ArrayConfig(pe="min", width=width, depth=depth), 2**width - 1
    assert config.acc_signed and config.acc_width == config.pe_acc_width + 1
    for extreme in (top, -top):
        assert holds(config.acc_width, True, depth * extreme)


@pytest.mark.parametrize("pe", [pe for pe in KINDS if pe != "min"])
def test_in_other_kinds_the_accumulator_leaves_as_it_is(pe):
    config = configured(pe, 5, 9)
    assert (config.acc_width, config.acc_signed) == (config.pe_acc_width, pe == "mac")


@every_kind
@pytest.mark.parametrize("width", [2, 5, 16])
@pytest.mark.parametrize("depth", [1, 2, 64, 2**20])
def test_at_depths_of_a_power_of_two_no_bit_is_wasted(pe, width, depth):
    config = configured(pe, width, depth)
    extreme = max(terms(config), key=abs)
    assert not holds(config.pe_acc_width - 1, pe == "mac", depth * extreme)


@every_kind
def test_only_the_mac_has_signed_weights(pe):
    assert configured(pe, 8, 4).weight_signed == (pe == "mac")


def test_the_twin_of_signs_has_one_bit_and_no_twin_of_its_own_but_itself():
    config = ArrayConfig(width=5, rows=3, lanes=2).twin("xnor")
    assert config == ArrayConfig(pe="xnor", width=1, rows=3, lanes=2)
    with pytest.raises(ValueError, match="width must be at least 2, not 1"):
        config.twin("mac")


def test_a_twin_differs_in_its_pe_alone():
    config = ArrayConfig(width=5, rows=3, cols=7, lanes=2, depth=99)
    twin = config.twin("mac")
    assert twin == ArrayConfig(pe="mac", width=5, rows=3, cols=7, lanes=2, depth=99)
    assert twin.twin("complement") == config


def test_a_twin_of_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=f"^pe must be {NAMES}, not 'cube'$"):
        ArrayConfig().twin("cube")


def written(tmp_path, text):
    path = tmp_path / "array.toml"
    path.write_bytes(text)
    return path


def test_a_file_has_the_same_names_as_the_options(tmp_path):
    path = written(tmp_path, b'pe = "mac"\nwidth = 4\nrows = 3\n')
    assert load_config(path) == ArrayConfig(pe="mac", width=4, rows=3)
    assert load_config(written(tmp_path, b"")) == ArrayConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"row = 3", f"unknown key 'row'; the keys are {KEYS}"),
        (b"[array]\nrows = 3", f"unknown key 'array'; the keys are {KEYS}"),
        (b"rows = 0", "rows must be at least 1, not 0"),
        (b"rows = 2.5", "rows must be an integer, not 2.5"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_name(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}$"):
        load_config(path)


@pytest.mark.parametrize("text", [b"rows 3", b"\xff\xfe", b"rows = 3\nrows = 3"])
def test_a_file_that_is_not_toml_is_refused_with_its_name(tmp_path, text):
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: not a TOML file \(.+\)$"):
        load_config(path)


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "none.toml"
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(str(path))}: no such file$"):
        load_config(path)
