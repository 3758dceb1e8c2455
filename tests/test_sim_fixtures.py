"""The committed network on the committed images: reference, RTL and mapped netlist agree."""

from pathlib import Path

import numpy as np
import pytest

from golden import archive, model_file, reference
from hw.choices import BUILT_IN_LIBRARY
from hw.config import ArrayConfig
from hw.liberty import read_library
from hw.netlist import read_netlist
from hw.synth import synthesize
from sim.gate_run import measure
from sim.runner import simulate
from sim.workload import check_fit, matrix_forms

FIXTURES = Path(__file__).parent.parent / "fixtures"
PE_OF_KIND = {"adder": "complement", "cnn": "mac"}


def fixture(kind):
    vectors = archive.load_arrays(FIXTURES / "digits-vectors.npz")
    return model_file.load(FIXTURES / f"lenet5-bn-digits-{kind}.npz"), vectors


def forms_of(kind, images):
    model, vectors = fixture(kind)
    config = ArrayConfig(pe=PE_OF_KIND[kind], rows=3, cols=4, lanes=2, depth=400)
    check_fit(model, config)
    codes = reference.encode(model, vectors["images"][:images])
    return config, list(matrix_forms(model, codes))


@pytest.mark.parametrize("kind", PE_OF_KIND)
def test_the_integer_network_reads_every_committed_digit(kind):
    model, vectors = fixture(kind)
    assert len(set(vectors["labels"])) >= 7
    np.testing.assert_array_equal(reference.classify(model, vectors["images"]), vectors["labels"])


@pytest.mark.slow
def test_every_layer_on_a_real_digit_is_right_in_rtl(tmp_path):
    config, forms = forms_of("adder", 1)
    results = simulate(config, forms, tmp_path)
    assert [result.name for result in results] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert all(result.passed and result.compared > 0 for result in results)


@pytest.mark.slow
@pytest.mark.parametrize("kind", PE_OF_KIND)
def test_the_mapped_netlist_is_right_on_a_real_digit(kind, tmp_path):
    config, forms = forms_of(kind, 1)
    synthesize(config, "asic", tmp_path)
    netlist = read_netlist(tmp_path / "netlist.json", read_library(BUILT_IN_LIBRARY))
    run = measure(config, netlist, forms, windows=16, cycles=150)
    assert run.mismatches == 0 < run.compared
