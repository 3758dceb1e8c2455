"""Workloads: networks' layers as matrix forms, without PyTorch."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from adderforge.exploration import networks
from adderforge.exploration.design import Design
from adderforge.exploration.workloads import Layer, Workload, network, of_model
from golden import checkpoint, model_file
from golden.train_config import TrainConfig
from golden.training import TrainResult, build_network
from hw.config import ArrayConfig
from sim.generated_models import generated_model

FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.mark.slow
@pytest.mark.parametrize("name", networks.NETWORKS)
def test_the_table_of_layers_is_that_of_the_networks(name):
    table = json.loads((files("adderforge.exploration") / "networks.json").read_text())
    expected = {layer: list(shape) for layer, shape in networks.adder_layers(name).items()}
    assert table[name] == expected


def test_resnet20_takes_the_cycles_that_its_schedule_tells():
    array = ArrayConfig(rows=16, cols=16, depth=576)
    assert network("resnet20").cycles(array) == 158_336
    layers = network("resnet20").layer_table(Design(array=array))
    assert sum(layer["cycles"] for layer in layers) == 158_336
    assert layers[0] == {
        "layer": "layer1.0.conv1",
        "cycles": 9248,
        "utilization": 1024 * 144 * 16 / (256 * 9248),
    }


def test_a_models_layers_are_those_of_its_network():
    workload = of_model(FIXTURES / "lenet5-bn-digits-adder.npz")
    assert [layer.shape for layer in workload.layers] == [
        layer.shape for layer in network("lenet5-bn").layers
    ]
    assert workload.models == {"adder": FIXTURES / "lenet5-bn-digits-adder.npz"}


def test_accelerators_of_macs_run_binary_networks_with_ordinary_ends(tmp_path):
    ends = {"kind": "mac", "out_channels": 3, "flatten": True}
    layers = [{"kind": "mac", "out_channels": 4, "kernel": (2, 2)}, {"out_channels": 6}, ends]
    model_file.save(generated_model("xnor", (1, 5, 4), layers), tmp_path / "bnn.npz")
    workload = of_model(tmp_path / "bnn.npz", accelerator=True)
    macs = ArrayConfig(pe="mac", dataflow="weight-stationary", rows=2, cols=2)
    assert workload.models == {"bnn": tmp_path / "bnn.npz"}
    assert workload.model_for(macs) == tmp_path / "bnn.npz"
    with pytest.raises(ValueError, match="has no cnn network for pe 'mac'"):
        of_model(tmp_path / "bnn.npz").model_for(macs)


def test_a_model_names_its_data_set(tmp_path):
    model = model_file.load(FIXTURES / "lenet5-bn-digits-adder.npz")
    trained = replace(model, metadata=model.metadata | {"data": "mnist"})
    model_file.save(trained, tmp_path / "model.npz")
    assert of_model(str(tmp_path / "model.npz")).data_set == "mnist"
    assert of_model(tmp_path / "model.npz", "digits").data_set == "digits"
    models = {"adder": str(tmp_path / "model.npz")}
    assert network("lenet5-bn", models=models).data_set == "mnist"
    models["cnn"] = FIXTURES / "lenet5-bn-digits-cnn.npz"
    both = network("lenet5-bn", models=models)
    with pytest.raises(ValueError, match=r"same data, but are adder on mnist, cnn on digits; name"):
        both.digest(ArrayConfig())
    assert replace(both, data="mnist").data_set == "mnist"


def test_a_checkpoint_names_its_data_set(tmp_path):
    config = TrainConfig(data="mnist")
    trained = TrainResult(
        config=config, network=build_network(config), history=(), test_accuracy=0.5
    )
    checkpoint.save(trained, tmp_path / "adder.pt")
    workload = network("lenet5-bn", models={"adder": tmp_path / "adder.pt"})
    assert workload.data_set == "mnist" and workload.digest(ArrayConfig()).endswith(" mnist")


def test_nothing_heavy_is_loaded_to_explore_cycles():
    code = (
        "import sys, adderforge as a; "
        "a.explore(a.Space(rows=[2, 4]), a.network_workload('lenet5-bn'), ['cycles']); "
        "print([n for n in 'torch matplotlib optuna distributed'.split() "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_bad_workload_is_refused():
    with pytest.raises(ValueError, match="network must be one of lenet5-bn, vgg-small"):
        network("vgg")
    with pytest.raises(ValueError, match="workload 'none' must have at least one layer"):
        Workload(name="none", layers=())
    layers = (Layer(name="a", shape=(1, 2, 3)),)
    gone = Workload(name="gone", layers=layers, models={"adder": Path("gone.pt")})
    with pytest.raises(FileNotFoundError, match=r"gone\.pt: no such file"):
        gone.model_for(ArrayConfig())
