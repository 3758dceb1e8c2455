"""The compiled kernels against the paper's equations in float64, and how they are built."""

import shutil
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensorMode

import golden
from golden import kernels
from golden.adder_function import GRADIENTS, adder_conv2d
from golden.layers import AdderConv2d

SHAPES = {
    # images, channels, height, width, filters, kernel, stride, padding, dilation, groups
    "a single pixel": (1, 1, 1, 1, 1, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "odd sizes": (3, 5, 7, 9, 11, (3, 3), (1, 1), (0, 0), (1, 1), 1),
    "17 images, stride 2": (17, 3, 8, 7, 9, (3, 3), (2, 2), (1, 1), (1, 1), 1),
    "an even map": (16, 8, 6, 6, 8, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "all at once": (5, 6, 9, 10, 4, (2, 3), (2, 3), (0, 2), (3, 2), 2),
    "one channel per group": (2, 7, 5, 6, 7, (3, 3), (1, 1), (1, 1), (1, 1), 7),
    "padding beyond the kernel": (2, 2, 3, 3, 3, (1, 2), (3, 4), (4, 3), (1, 1), 1),
    "inputs that no window reaches": (2, 3, 9, 9, 2, (1, 1), (4, 4), (0, 0), (1, 1), 1),
    "a linear layer": (19, 45, 1, 1, 13, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "a long reduction": (2, 150, 4, 3, 3, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "strips of a large map": (2, 40, 24, 64, 2, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "several blocks of images": (37, 3, 5, 4, 5, (2, 3), (2, 1), (1, 0), (1, 1), 1),
}


@pytest.fixture(scope="module", autouse=True)
def built_kernels():
    kernels.load.cache_clear()
    if kernels.load() is None:
        pytest.skip("the kernels are switched off")


@pytest.fixture
def fresh_load():
    """`load` as in a new process; afterwards, again."""
    kernels.load.cache_clear()
    yield
    kernels.load.cache_clear()


def tensors(shape, seed=0):
    torch.manual_seed(seed)
    images, channels, height, width, filters, kernel, stride, padding, dilation, groups = shape
    moves = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    input = 2 * torch.randn(images, channels, height, width) + 0.5
    return input, torch.randn(filters, channels // groups, *kernel), moves


def run(input, weight, moves, gradient="full", upstream=None):
    """output, input gradient, weight gradient"""
    input, weight = input.detach().requires_grad_(), weight.detach().requires_grad_()
    output = adder_conv2d(input, weight, **moves, gradient=gradient)
    output.backward(torch.ones_like(output) if upstream is None else upstream.to(output))
    return output.detach(), input.grad, weight.grad


def hardtanh(values):
    return np.clip(values, -1, 1)


def literal(input, weight, moves, upstream, gradient):
    """Eq. 2 and 4 to 7 in float64, position by position; and Σ|x| + Σ|f| of each output."""
    (sr, sc), (pr, pc), (dr, dc) = moves["stride"], moves["padding"], moves["dilation"]
    x = np.pad(input.double().numpy(), ((0, 0), (0, 0), (pr, pr), (pc, pc)))
    f, g = weight.double().numpy(), upstream.double().numpy()
    filters, channels, rows, cols = f.shape
    output, magnitude = np.zeros(g.shape), np.zeros(g.shape)
    grad_x, grad_f = np.zeros_like(x), np.zeros_like(f)
    for t, r, c in np.ndindex(g.shape[1:]):
        first = t // (filters // moves["groups"]) * channels
        window = (
            slice(None),
            slice(first, first + channels),
            slice(r * sr, r * sr + (rows - 1) * dr + 1, dr),
            slice(c * sc, c * sc + (cols - 1) * dc + 1, dc),
        )
        difference, g_here = x[window] - f[t], g[:, t, r, c, None, None, None]
        output[:, t, r, c] = -np.abs(difference).sum((1, 2, 3))
        magnitude[:, t, r, c] = np.abs(x[window]).sum((1, 2, 3)) + np.abs(f[t]).sum()
        clip = np.sign if gradient == "derivative" else hardtanh
        grad_x[window] += g_here * clip(-difference)
        step = difference if gradient == "full" else np.sign(difference)
        grad_f[t] += (g_here * step).sum(0)
    inner = grad_x[:, :, pr : x.shape[2] - pr, pc : x.shape[3] - pc]
    return output, inner, grad_f, magnitude


def close(got, wanted, tolerance):
    np.testing.assert_allclose(
        got.numpy(), wanted, rtol=tolerance, atol=tolerance * max(1e-3, np.abs(wanted).max())
    )


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_both_paths_are_the_papers_equations(shape, dtype, gradient):
    input, weight, moves = tensors(shape)
    upstream = torch.randn(adder_conv2d(input, weight, **moves).shape)
    got = run(input.to(dtype), weight.to(dtype), moves, gradient, upstream)
    output, grad_input, grad_weight, magnitude = literal(input, weight, moves, upstream, gradient)
    kernel = dtype == torch.float32
    assert (np.abs(got[0].numpy() - output) <= (1e-6 if kernel else 1e-12) * magnitude).all()
    close(got[1], grad_input, 2e-6 if kernel else 1e-10)
    close(got[2], grad_weight, 2e-5 if kernel else 1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_sign_of_a_zero_difference_is_zero(dtype):
    """Whole numbers are often equal; those near zero are rounded to 0 and to -0."""
    input, weight, moves = tensors(SHAPES["all at once"])
    input, weight = input.div(2).round(), weight.div(2).round()
    upstream = torch.randn(adder_conv2d(input, weight, **moves).shape)
    got = run(input.to(dtype), weight.to(dtype), moves, "derivative", upstream)
    _, *wanted, _ = literal(input, weight, moves, upstream, "derivative")
    for one, other in zip(got[1:], wanted, strict=True):
        close(one, other, 2e-6)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_kernels_are_the_torch_path(shape, gradient, monkeypatch):
    input, weight, moves = tensors(shape, seed=1)
    kernel = run(input, weight, moves, gradient)
    monkeypatch.setattr(kernels, "load", lambda: None)
    for got, wanted in zip(kernel, run(input, weight, moves, gradient), strict=True):
        close(got, wanted.numpy(), 2e-5)


def test_a_view_of_other_sign_is_read_as_it_is():
    input, weight, moves = tensors(SHAPES["odd sizes"])
    seen = torch._neg_view(input)
    assert torch.equal(adder_conv2d(seen, weight, **moves), adder_conv2d(-input, weight, **moves))


def test_tensors_without_numbers_go_the_torch_path():
    """As compilers and exporters pass through a network."""
    layer, input = AdderConv2d(3, 4, 3), torch.randn(2, 3, 8, 8)
    with FakeTensorMode():
        assert AdderConv2d(3, 4, 3)(torch.randn(2, 3, 8, 8)).shape == (2, 4, 6, 6)
    exported = torch.export.export(layer, (input,)).module()
    torch.testing.assert_close(exported(input), layer(input))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("shape", ["strips of a large map", "several blocks of images"])
def test_results_do_not_depend_on_the_number_of_threads(shape, threads):
    input, weight, moves = tensors(SHAPES[shape])
    upstream = torch.randn(adder_conv2d(input, weight, **moves).shape)
    wanted, before = run(input, weight, moves, "sign", upstream), torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        got = run(input, weight, moves, "sign", upstream)
    finally:
        torch.set_num_threads(before)
    for one, other in zip(got, wanted, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_tensors_that_are_not_contiguous_give_the_same(gradient):
    input, weight, moves = tensors(SHAPES["17 images, stride 2"])
    upstream = torch.randn(adder_conv2d(input, weight, **moves).shape)
    wanted = run(input, weight, moves, gradient, upstream)
    turned = weight.transpose(2, 3).contiguous().transpose(2, 3)
    channels_last = input.contiguous(memory_format=torch.channels_last)
    strided_upstream = upstream.transpose(0, 3).contiguous().transpose(0, 3)
    got = run(channels_last, turned, moves, gradient, strided_upstream)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_an_empty_batch_gives_empty_maps_and_a_zero_gradient(gradient):
    output, grad_input, grad_weight = run(*tensors((0, *SHAPES["odd sizes"][1:])), gradient)
    assert output.shape == (0, 11, 5, 7) and grad_input.shape == (0, 5, 7, 9)
    assert not grad_weight.any()


def test_what_is_not_a_number_stays_so():
    input, weight, moves = tensors(SHAPES["odd sizes"])
    input[1, 2, 3, 4] = torch.nan
    output = adder_conv2d(input, weight, **moves)
    assert output[1, :, 3, 4].isnan().all() and not output[0].isnan().any()


def test_groups_that_do_not_divide_the_filters_are_refused():
    with pytest.raises(ValueError, match="groups must divide the 3 filters, not be 2"):
        adder_conv2d(torch.zeros(1, 4, 3, 3), torch.zeros(3, 2, 1, 1), groups=2)


def test_without_a_compiler_it_warns_once_and_works(monkeypatch, fresh_load):
    input, weight, moves = tensors(SHAPES["odd sizes"])
    wanted = run(input, weight, moves)
    kernels.load.cache_clear()
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler was found.*apt install g") as seen:
        got = [run(input, weight, moves) for _ in range(2)][1]
    assert len(seen) == 1
    for one, other in zip(got, wanted, strict=True):
        close(one, other.numpy(), 2e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("march", "needs"), [("x86-64", "sse2"), ("x86-64-v3", "avx2 fma")])
def test_narrower_vectors_give_the_same(march, needs, monkeypatch, fresh_load, tmp_path):
    if not set(needs.split()) <= set(kernels._cpu().split()):
        pytest.skip(f"this CPU lacks {needs}")
    cases = [(*tensors(SHAPES["17 images, stride 2"]), "full")]
    input, weight, moves = tensors(SHAPES["all at once"])
    whole = (input.div(2).round(), weight.div(2).round(), moves)
    cases += [(*whole, "sign"), (*whole, "derivative")]
    wanted = [run(*case) for case in cases]
    kernels.load.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    flags = [flag for flag in kernels.FLAGS if not flag.startswith(("-march", "-O"))]
    monkeypatch.setattr(kernels, "FLAGS", (*flags, "-O1", f"-march={march}"))
    for case, whole in zip(cases, wanted, strict=True):
        for one, other in zip(run(*case), whole, strict=True):
            close(one, other.numpy(), 2e-6)
    assert kernels.load() is not None


def test_a_build_that_fails_warns_with_the_compilers_words(monkeypatch, fresh_load, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernels, "FLAGS", ("--no-such-flag",))
    with pytest.warns(UserWarning, match="no-such-flag"):
        assert kernels.load() is None
    assert not any((tmp_path / "adderforge").iterdir())


def test_the_environment_switches_the_kernels_off_without_a_warning(monkeypatch, fresh_load):
    monkeypatch.setenv("ADDERFORGE_KERNELS", "0")
    kernels.load_for_gpu.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernels.load() is None and kernels.load_for_gpu() is None
    kernels.load_for_gpu.cache_clear()


def test_tensors_on_a_gpu_do_not_go_to_the_kernels_of_the_cpu(monkeypatch):
    monkeypatch.setattr(kernels, "load_for_gpu", lambda: "for the GPU")
    monkeypatch.setattr(kernels, "PLAIN", {SimpleNamespace})
    there = SimpleNamespace(dtype=torch.float32, device=torch.device("cuda", 0))
    assert kernels.suited(there, there) == "for the GPU"
    assert kernels.suited(there, torch.zeros(1)) is None


def test_on_a_gpu_without_triton_it_warns_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "golden.gpu_kernels", raising=False)
    monkeypatch.delattr(golden, "gpu_kernels", raising=False)
    kernels.load_for_gpu.cache_clear()
    with pytest.warns(UserWarning, match="on the GPU run in plain PyTorch.*Install Triton") as seen:
        assert [kernels.load_for_gpu() for _ in range(2)] == [None, None]
    assert len(seen) == 1
    kernels.load_for_gpu.cache_clear()


@pytest.mark.slow
def test_a_library_is_built_once_and_again_when_damaged(monkeypatch, fresh_load, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernels, "FLAGS", ("-std=c++17", "-O0", "-shared", "-fPIC"))
    builds = []
    build = kernels._build
    monkeypatch.setattr(kernels, "_build", lambda *where: builds.append(where) or build(*where))
    assert kernels._library() == kernels._library()
    assert len(builds) == 1
    (library,) = (tmp_path / "adderforge").iterdir()
    whole = library.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:5000] + b"?" + whole[5001:], b""):
        library.write_bytes(damaged)
        kernels._library()
        assert library.read_bytes() == whole
    assert len(builds) == 4
    assert kernels.load() is not None


def test_another_source_compiler_flag_or_cpu_is_another_library(monkeypatch, fresh_load, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernels, "_build", lambda compiler, path: path.touch())
    shutil.copytree(kernels.SOURCE.parent, tmp_path / "cpu")
    monkeypatch.setattr(kernels, "SOURCE", tmp_path / "cpu" / kernels.SOURCE.name)
    found = [kernels._library()]
    monkeypatch.setattr(kernels, "_cpu", lambda: "another")
    found.append(kernels._library())
    monkeypatch.setattr(kernels, "FLAGS", (*kernels.FLAGS, "-O1"))
    found.append(kernels._library())
    for source in (tmp_path / "cpu").iterdir():
        source.write_text(source.read_text() + "\n")
        found.append(kernels._library())
    assert len(set(found)) == len(found) == 3 + 8
