import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from golden import data, mnist

FILES = tuple(mnist.FILES.values())


def idx(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_mnist(folder, compress=False):
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for name in FILES:
        count = 7 if name.startswith("train") else 3
        shape = (count, 28, 28) if "images" in name else (count,)
        content = idx(rng.integers(0, 10, shape, dtype=np.uint8))
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


def test_digits_are_split_the_same_way_every_time():
    first, second = data.load("digits"), data.load("digits")
    assert first.train_images.shape == (1437, 1, 32, 32)
    assert first.test_images.shape == (360, 1, 32, 32)
    assert first.train_images.dtype == np.float32 and first.train_labels.dtype == np.int64
    np.testing.assert_array_equal(first.train_images, second.train_images)
    np.testing.assert_array_equal(first.test_labels, second.test_labels)


def test_every_class_has_its_share_of_the_test_images():
    counts = np.bincount(data.load("digits").test_labels, minlength=10)
    assert counts.min() >= 34 and counts.max() <= 38


def test_no_test_image_is_a_training_image():
    digits = data.load("digits")
    train = {image.tobytes() for image in digits.train_images}
    assert not any(image.tobytes() in train for image in digits.test_images)


def test_background_and_foreground_have_their_gray_levels():
    images = data.preprocess(np.stack([np.zeros((8, 8)), np.ones((8, 8))]))
    np.testing.assert_allclose(images[0], -0.1, rtol=1e-6)
    np.testing.assert_allclose(images[1], 1.175, rtol=1e-6)


def test_resizing_is_bilinear_with_half_pixel_centers():
    step = np.zeros((1, 16, 16))
    step[:, :, 8:] = 1
    row = (data.preprocess(step)[0, 0, 0] + 0.1) / 1.275
    np.testing.assert_allclose(row[14:18], [0, 0.25, 0.75, 1], atol=1e-6)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("where", ["itself", "parent", "environment"])
def test_mnist_is_found(tmp_path, monkeypatch, compress, where):
    monkeypatch.delenv("ADDERFORGE_DATA", raising=False)
    write_mnist(tmp_path / "mnist", compress)
    if where == "environment":
        monkeypatch.setenv("ADDERFORGE_DATA", str(tmp_path))
    directory = {"itself": tmp_path / "mnist", "parent": tmp_path, "environment": None}[where]
    mnist = data.load("mnist", directory)
    assert mnist.train_images.shape == (7, 1, 32, 32)
    assert mnist.test_labels.shape == (3,) and mnist.test_labels.dtype == np.int64


def test_no_folder_is_an_error_with_the_remedy(monkeypatch):
    monkeypatch.delenv("ADDERFORGE_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="pass --data-dir, or set ADDERFORGE_DATA"):
        data.load("mnist")


def test_an_empty_or_missing_folder_is_an_error_that_names_it(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=f"no train-images-idx3-ubyte.* in {folder}"):
            data.load("mnist", folder)


def test_a_missing_file_is_named(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / FILES[3]).unlink()
    with pytest.raises(FileNotFoundError, match="no t10k-labels-idx1-ubyte"):
        data.load("mnist", tmp_path)


@pytest.mark.parametrize("keep", [0, 3, 4, 7, 16, 100, -1])
@pytest.mark.parametrize("compress", [False, True])
def test_a_truncated_file_is_named(tmp_path, keep, compress):
    write_mnist(tmp_path, compress)
    path = tmp_path / (FILES[0] + (".gz" if compress else ""))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.*download the file again"):
        data.load("mnist", tmp_path)


def test_labels_in_place_of_images_are_refused(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / FILES[0]).write_bytes((tmp_path / FILES[1]).read_bytes())
    with pytest.raises(ValueError, match="must be an IDX file of bytes in 3 dimensions"):
        data.load("mnist", tmp_path)


def test_images_and_labels_must_be_equally_many(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / FILES[1]).write_bytes(idx(np.zeros(6, np.uint8)))
    with pytest.raises(ValueError, match="train images and labels must be equally many, not 7"):
        data.load("mnist", tmp_path)


@pytest.mark.parametrize("shape", [(0, 28, 28), (7, 28, 27), (7, 0, 0)])
def test_other_images_than_mnists_are_refused(tmp_path, shape):
    write_mnist(tmp_path)
    (tmp_path / FILES[0]).write_bytes(idx(np.zeros(shape, np.uint8)))
    (tmp_path / FILES[1]).write_bytes(idx(np.zeros(shape[0], np.uint8)))
    with pytest.raises(ValueError, match=r"train images must be some of \(28, 28\), not"):
        data.load("mnist", tmp_path)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="data set must be one of"):
        data.load("letters")


@pytest.mark.slow
@pytest.mark.skipif(
    not (Path(os.environ.get("ADDERFORGE_DATA") or "nowhere") / "mnist").is_dir(),
    reason="ADDERFORGE_DATA names no folder with mnist/",
)
def test_the_real_mnist_has_its_known_counts():
    mnist = data.load("mnist")
    assert mnist.train_images.shape == (60000, 1, 32, 32)
    assert np.bincount(mnist.test_labels).tolist() == [
        *(980, 1135, 1032, 1010, 982),
        *(892, 958, 1028, 974, 1009),
    ]
    assert mnist.test_images.min() >= -0.1001 and mnist.test_images.max() <= 1.1751
