import dataclasses
import os
import pickle

import numpy as np
import pytest

from golden import cifar, data


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """CIFAR-10 with four images a file, written by this Python."""
    ten = cifar.CIFAR["cifar10"]
    few = dataclasses.replace(ten, train=dict.fromkeys(ten.train, 4), test={"test_batch": 4})
    monkeypatch.setitem(cifar.CIFAR, "cifar10", few)
    place = tmp_path / ten.folder
    place.mkdir()
    for name in few.train | few.test:
        write(place / name)
    return place


def write(path, protocol=2, **changes):
    rng = np.random.default_rng(0)
    content = {"data": rng.integers(0, 256, (4, 3072), dtype=np.uint8), "labels": [0, 9, 3, 1]}
    content = {key.encode(): value for key, value in (content | changes).items()}
    path.write_bytes(pickle.dumps(content, protocol))


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_the_files_are_read_in_order_whatever_the_pickles_protocol(folder, protocol):
    write(folder / "data_batch_2", protocol, labels=[5, 6, 7, 8])
    found = data.load("cifar10", folder.parent)
    assert found.train_images.shape == (20, 3, 32, 32) and len(found.test_images) == 4
    assert found.train_labels[:8].tolist() == [0, 9, 3, 1, 5, 6, 7, 8]


def test_a_channel_is_normalized_and_red_comes_first(folder):
    levels = np.zeros((4, 3072), np.uint8)
    levels[:, :1024] = 255
    write(folder / "test_batch", data=levels)
    image = data.load("cifar10", folder).test_images[:1][0]
    means, stds = np.array(cifar.CIFAR["cifar10"].mean), np.array(cifar.CIFAR["cifar10"].std)
    wanted = (np.array([1, 0, 0]) - means) / stds
    np.testing.assert_allclose(image[:, 0, 0], wanted, rtol=1e-5)
    assert image.dtype == np.float32


def test_cifar100_has_fine_labels(tmp_path, monkeypatch):
    hundred = dataclasses.replace(cifar.CIFAR["cifar100"], train={"train": 4}, test={"test": 4})
    monkeypatch.setitem(cifar.CIFAR, "cifar100", hundred)
    for name in ("train", "test"):
        write(tmp_path / name, fine_labels=[99, 0, 1, 2], coarse_labels=[0] * 4)
    assert data.load("cifar100", tmp_path).test_labels.tolist() == [99, 0, 1, 2]


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


def test_a_pickle_runs_nothing(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(folder / "data_batch_3", data=Harmful())
    with pytest.raises(ValueError, match=r"data_batch_3: cannot be read \(it asks for .*mkdir"):
        data.load("cifar10", folder)
    assert not (tmp_path / "made-by-a-pickle").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": np.zeros((3, 3072), np.uint8)}, "must hold 'data' of 4 × 3072 bytes"),
        ({"data": [1, 2]}, "must hold 'data' of 4 × 3072 bytes"),
        ({"data": np.zeros((4, 3072), np.float32)}, "must hold 'data' of 4 × 3072 bytes"),
        ({"labels": [0, 1, 2]}, "must hold 4 'labels' from 0 to 9"),
        ({"labels": [0, 1, 2, 10]}, "must hold 4 'labels' from 0 to 9"),
    ],
)
def test_a_file_of_other_shapes_or_counts_is_named(folder, changes, message):
    write(folder / "data_batch_5", **changes)
    with pytest.raises(ValueError, match=f"data_batch_5: {message}"):
        data.load("cifar10", folder)


@pytest.mark.parametrize("keep", [0, 1, 20, 1000, -1])
def test_a_truncated_file_is_named(folder, keep):
    path = folder / "test_batch"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"test_batch: cannot be read .*download the file again"):
        data.load("cifar10", folder)


def test_a_missing_file_and_a_wrong_folder_are_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no train in .* or its cifar-100-python folder"):
        data.load("cifar100", folder)
    (folder / "data_batch_4").unlink()
    with pytest.raises(FileNotFoundError, match="no data_batch_4 in"):
        data.load("cifar10", folder)
