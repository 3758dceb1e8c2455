"""Spaces: typed choices, constraints with names, and one clear line for what leaves nothing."""

import pytest

from adderforge.exploration.design import Design
from adderforge.exploration.space import Space
from adderforge.exploration.space_file import read_request


def sizes(space):
    return [(d.array.rows, d.array.cols) for d in space.designs()]


def test_a_space_is_every_combination_in_the_order_of_its_choices():
    space = Space(rows=[2, 4], cols=range(1, 3))
    assert space.size == 4
    assert sizes(space) == [(2, 1), (2, 2), (4, 1), (4, 2)]


def test_a_constraint_is_a_function_of_parameters_or_a_text():
    def few(rows, cols):
        return rows * cols <= 4

    rules = [few, "rows >= 2 and not cols == 2", lambda config: config.acc_width < 99]
    assert sizes(Space(rules, rows=[1, 2, 4], cols=[1, 2])) == [(2, 1), (4, 1)]


def test_what_is_no_configuration_is_no_design_and_adders_have_no_multiplier():
    flows = ["output-stationary", "weight-stationary"]
    assert len(Space(pipeline=[0, 4], dataflow=flows).designs()) == 3
    designs = Space(pe=["complement", "mac"], multiplier=[None, "dsp"]).designs()
    assert [(d.array.pe, d.multiplier) for d in designs] == [
        ("complement", None),
        ("mac", None),
        ("mac", "dsp"),
    ]


def test_a_mac_with_a_multiplier_is_not_one_made_by_hand():
    designs = Space(pe="mac", multiplier=[None, "dsp"]).designs(target="ecp5")
    assert [d.array.target for d in designs] == ["ecp5", "generic"]


def test_defaults_fill_what_the_space_leaves_open():
    (design,) = Space(rows=3).designs(depth=77)
    assert (design.array.rows, design.array.depth) == (3, 77)
    assert design.options == "--rows 3 --depth 77"
    assert Design.of(design.values) == design


def test_a_combination_is_picked_or_refused():
    space = Space(["rows < 3"], rows=[2, 4])
    assert space.pick({"rows": 2}, depth=5).array.depth == 5
    assert space.pick({"rows": 4}) is None
    assert Space(rows=1).pick({"rows": 1, "pe": "xnor"}) is None


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "a space must have at least one of pe, width"),
        ({"row": 1}, "unknown parameter 'row' of a space; there are pe, width"),
        ({"rows": []}, "rows must have at least one value, not none"),
        ({"rows": [0]}, "rows: should be greater than or equal to 1, not 0"),
        ({"width": [8, "9"]}, "width: should be a valid integer, not '9'"),
        ({"pe": "mul"}, "pe: should be 'complement', 'min'"),
        ({"multiplier": "abacus"}, "multiplier must be one of none, booth-tree"),
        (
            {"rows": 1, "constraints": ["rows + size < 3"]},
            "constraint 'rows + size < 3': unknown parameter 'size'",
        ),
        (
            {"rows": 1, "constraints": ["__import__('os')"]},
            "a constraint must be made of parameters, numbers",
        ),
        ({"rows": 1, "constraints": ["rows <"]}, "a constraint must be made of parameters"),
        ({"rows": 1, "constraints": "rows < 2"}, "constraints must be in a list, not 'rows < 2'"),
        ({"rows": 1, "constraints": 5}, "constraints must be in a list, not 5"),
        ({"rows": 1, "constraints": [5]}, "a constraint must be a text or a function, not 5"),
        ({"pe": [["min"]]}, "pe: should be 'complement', 'min'"),
        ({"self": 1}, "unknown parameter 'self' of a space"),
    ],
)
def test_a_bad_space_is_refused_at_once(choices, message):
    with pytest.raises(ValueError) as error:
        Space(**choices)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["rows < 9", "cols > 9"], "constraint 'cols > 9' leaves none of 4 designs; loosen it"),
        (
            ["rows < 2", "rows > 1"],
            "the constraints together leave none of 4 designs ('rows < 2' leaves 2, "
            "'rows > 1' leaves 2); loosen one",
        ),
    ],
)
def test_constraints_that_leave_nothing_are_named(rules, message):
    with pytest.raises(ValueError) as error:
        Space(rules, rows=[1, 2], cols=[1, 2]).designs()
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("rows % (cols - 1) == 0", "by zero"),
        ("map_width > 4", "'>' not supported between instances of 'NoneType' and 'int'"),
        ("pe > 4", "'>' not supported between instances of 'str' and 'int'"),
        (lambda config: config.rows % 0, "by zero"),
    ],
)
def test_a_constraint_without_a_value_is_named_with_the_design(rule, reason):
    with pytest.raises(ValueError) as error:
        Space([rule], rows=2, cols=1).designs()
    name = rule if isinstance(rule, str) else "<lambda>"
    assert str(error.value).startswith(f"constraint {name!r} must hold or not for every design")
    assert "of '--rows 2 --cols 1' it gives: " in str(error.value)
    assert f"{reason}; let another" in str(error.value)


def test_a_constraint_may_stand_behind_another():
    rules = ["cols > 1 and rows % (cols - 1) == 0", "not map_width or map_width > 4"]
    assert sizes(Space(rules, rows=2, cols=[1, 2, 3])) == [(2, 2), (2, 3)]


def test_a_space_without_a_configuration_says_why():
    with pytest.raises(ValueError, match="none of 2 combinations is a configuration; of the first"):
        Space(pe="xnor", width=[4, 8]).designs()


def request(folder, text):
    path = folder / "space.toml"
    path.write_text(text)
    return read_request(path)


def test_a_file_has_ranges_and_powers(tmp_path):
    text = """
        objectives = ["luts", "cycles"]
        fidelity = 1
        [workload]
        network = "resnet20"
        [space]
        rows = {from = 2, to = 16, times = 2}
        cols = {from = 1, to = 7, step = 3}
        [effort]
        target = "ecp5"
    """
    asked = request(tmp_path, text)
    assert asked.space.choices == {"rows": (2, 4, 8, 16), "cols": (1, 4, 7)}
    assert (asked.workload.depth, asked.effort.target, asked.fidelity) == (576, "ecp5", 1)


@pytest.mark.parametrize(("given", "place"), [("mine", "{}/mine"), ("/there", "/there")])
def test_the_folder_of_the_data_is_relative_to_the_file(tmp_path, given, place):
    text = f"[space]\nrows=1\n[workload]\nnetwork='resnet20'\ndata_dir='{given}'"
    assert request(tmp_path, text).workload.data_dir == place.format(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("space = 1", "space: Input should be a valid dictionary, not 1"),
        ("[space]\nrows=1\n[workload]\nnet='a'", "workload.net: Extra inputs are not permitted"),
        ("[space]\nrows=1\n[workload]", "workload must have either network or model"),
        ("[space]\nrows=1\n[workload]\nnetwork='vgg'", "network must be one of lenet5-bn, vgg"),
        (
            "[space]\nrows={from=1, by=2}\n[workload]\nnetwork='resnet20'",
            "rows: a range must have positive integers from, to, and step or times",
        ),
        (
            "[space]\nrows=1\n[workload]\nnetwork='resnet20'\nmodels={mac='a.pt'}",
            "workload.models must be for adder, cnn or bnn, not 'mac'",
        ),
        (
            "[space]\nrows=1\n[workload]\nnetwork='resnet20'\n[effort]\ntarget='pal'",
            "target must be one of ice40, ecp5, xilinx7, gowin, asic, not 'pal'",
        ),
        (
            "[space]\nrows=1\n[workload]\nnetwork='resnet20'\n[search]\ntrials=0",
            "trials must be at least 1, not 0",
        ),
        ("space = [", "not a TOML file"),
    ],
)
def test_a_bad_file_is_refused_with_its_name(tmp_path, text, message):
    with pytest.raises(ValueError) as error:
        request(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 'space.toml'}: {message}")
