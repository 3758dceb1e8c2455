"""What the options of an accelerator mean where they are left out."""

from types import SimpleNamespace

import pytest

from adderforge.options import ARRAY_OPTIONS, MEMORY_OPTIONS, accelerator_config
from hw.accelerator_config import AcceleratorConfig

NOTHING = dict.fromkeys(["config", *ARRAY_OPTIONS, *MEMORY_OPTIONS])


@pytest.fixture(autouse=True)
def as_it_is(monkeypatch):
    """The array alone counts here, not the memories that a network needs."""
    fitted = "hw.allocation.fitted"
    monkeypatch.setattr(fitted, lambda network, array, **more: AcceleratorConfig(array=array))


def network(*widths):
    layers = [SimpleNamespace(spec=SimpleNamespace(width=width)) for width in widths]
    return SimpleNamespace(layers=layers)


@pytest.mark.parametrize(
    ("given", "widths", "width"),
    [({}, (4, 6, 5), 6), ({}, (1,), 2), ({"width": 7}, (4,), 7), ({"pe": "mac"}, (4,), 4)],
)
def test_an_array_is_as_wide_as_the_widest_layer_unless_said_otherwise(given, widths, width):
    array = accelerator_config(NOTHING | given, network(*widths)).array
    assert (array.width, array.dataflow) == (width, "weight-stationary")


def test_a_configuration_file_says_all(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('width = 8\ndepth = 400\ndataflow = "weight-stationary"\n')
    assert accelerator_config(NOTHING | {"config": path}, network(4)).array.width == 8
