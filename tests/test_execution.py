"""Running a network fast changes nothing that matters: not its numbers, its labels, or the network itself."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_scse.errors import DeviceError, InputError
from napari_scse.execution import (
    Executor,
    choose_device,
    device_problem,
    is_out_of_memory,
    supports_bfloat16,
)
from napari_scse.nn.architectures import KINDS, NetworkConfig, build_network

CPU = torch.device("cpu")


def make_network(kind: str = "fc-densenet", excitation: str = "scse") -> nn.Module:
    torch.manual_seed(1)
    config = NetworkConfig.preset(kind, maps=6, depth=2, classes=5, kernel=(3, 3), excitation=excitation)
    return build_network(config).eval()


@pytest.fixture
def slices() -> np.ndarray:
    """Seven slices of odd size, one channel."""
    return np.random.default_rng(0).random((7, 1, 21, 34), dtype=np.float32)


def plain(network: nn.Module, slices: np.ndarray) -> Tensor:
    with torch.inference_mode():
        return network(torch.from_numpy(slices.copy()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_are_the_networks_own(kind: str, slices: np.ndarray) -> None:
    network = make_network(kind)
    out = Executor(network, CPU).run(slices)
    assert out.dtype == torch.float32
    assert out.shape == (7, 5, 21, 34)
    torch.testing.assert_close(out, plain(network, slices), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_all_the_way(kind: str, channels: int) -> None:
    network = build_network(NetworkConfig.preset(kind, maps=6, depth=2, classes=5, in_channels=channels)).eval()
    left: list[str] = []

    def watch(module: nn.Module, name: str) -> None:
        def hook(_: nn.Module, __: object, output: Tensor) -> None:
            flat = output.ndim != 4 or min(output.shape[1:]) == 1
            if not flat and not output.is_contiguous(memory_format=torch.channels_last):
                left.append(name)

        module.register_forward_hook(hook)

    executor = Executor(network, CPU)
    for name, module in executor.network.named_modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            watch(module, name)
    executor.run(np.random.default_rng(0).random((2, channels, 20, 30)))
    assert not left


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_the_batch_size_changes_no_label_but_near_ties(size: int, slices: np.ndarray) -> None:
    network = make_network()
    reference = plain(network, slices).argmax(1)
    labels = Executor(network, CPU, batch_size=size).run(slices).argmax(1)
    assert (labels != reference).sum() <= 1e-5 * labels.numel()


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_only_moves_near_ties(kind: str, slices: np.ndarray) -> None:
    network = make_network(kind)
    exact = plain(network, slices)
    out = Executor(network, CPU, "bfloat16").run(slices)
    assert out.dtype == torch.float32
    assert not torch.equal(out, exact)
    best = exact.topk(2, dim=1).values
    margin = (best[:, 0] - best[:, 1])[out.argmax(1) != exact.argmax(1)]
    assert margin.numel() < 0.02 * exact[:, 0].numel()
    assert margin.numel() == 0 or margin.max() < 0.05 * exact.abs().max()


def test_bfloat16_leaves_batch_norm_and_classifier_exact() -> None:
    network = make_network()
    executor = Executor(network, CPU, "bfloat16")
    wanted = network.state_dict()
    for name, value in executor.network.state_dict().items():
        if "norm" in name or name.startswith("classifier"):
            assert torch.equal(value, wanted[name]), name
        else:
            assert value.dtype == torch.bfloat16, name


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_callers_network_stays_as_it_is(precision: str, slices: np.ndarray) -> None:
    network = make_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    strides = {name: value.stride() for name, value in network.state_dict().items()}
    with Executor(network, CPU, precision) as executor:
        executor.run(slices)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.stride() == strides[name]
    assert not [module for module in network.modules() if module._forward_hooks or module._forward_pre_hooks]
    assert isinstance(executor.network, nn.Identity)  # closed: nothing of it is held any longer


def test_gradients_stay_on_between_batches(slices: np.ndarray) -> None:
    executor = Executor(make_network(), CPU, batch_size=2)
    seen = 0
    for answer in executor.map(slices, lambda network, batch: (len(batch), torch.is_grad_enabled(), network(batch))):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert not answer[1]
        seen += answer[0]
    assert seen == len(slices)


class Hungry(nn.Module):
    """Asks the real allocator for more than there is as soon as a batch has more than `enough` slices."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self.enough = enough
        self.sizes: list[int] = []
        self.conv = nn.Conv2d(1, 3, 1)

    def __deepcopy__(self, memo: dict[int, object]) -> Hungry:
        return self

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        if len(x) > self.enough:
            torch.empty(2**55, dtype=torch.uint8)
        return self.conv(x)


def test_out_of_memory_halves_the_batch_and_says_so_once(slices: np.ndarray) -> None:
    network = Hungry(enough=1)
    executor = Executor(network, CPU, batch_size=6)
    torch.testing.assert_close(executor.run(slices), plain(network.conv, slices))
    assert network.sizes[:4] == [6, 3, 1, 1]
    assert len(executor.messages) == 1
    assert "memory" in executor.messages[0]
    executor.run(slices)
    assert len(executor.messages) == 1
    assert executor.batch_size(21, 34) == 1


def test_too_little_memory_for_one_slice_is_a_sentence(slices: np.ndarray) -> None:
    executor = Executor(Hungry(enough=0), CPU)
    with pytest.raises(DeviceError, match="one slice of 21 x 34"):
        executor.run(slices)


def test_other_errors_of_torch_are_not_taken_for_want_of_memory(slices: np.ndarray) -> None:
    executor = Executor(make_network(), CPU)
    with pytest.raises(RuntimeError, match="running_mean"):
        executor.run(np.repeat(slices, 3, axis=1))


def test_the_real_errors_are_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory."))
    assert not is_out_of_memory(RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"))


def test_on_a_cpu_large_slices_come_one_by_one_and_small_ones_together() -> None:
    executor = Executor(build_network(NetworkConfig.preset("fc-densenet")), CPU)
    assert executor.batch_size(256, 256) == 1
    assert 1 < executor.batch_size(32, 32) <= 8
    assert Executor(make_network(), CPU, batch_size=5).batch_size(1000, 1000) == 5


def test_impossible_options_are_refused() -> None:
    with pytest.raises(InputError, match="float32, bfloat16"):
        Executor(make_network(), CPU, "float16")
    with pytest.raises(InputError, match="at least one"):
        Executor(make_network(), CPU, batch_size=0)


def test_devices_are_chosen_or_refused_in_a_sentence() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device(CPU) == CPU
    assert choose_device("auto").type in {"cpu", "cuda", "mps"}
    for name in ("gpu", "", "cpu:1", "cuda:x", "cuda:-1", "xla"):
        with pytest.raises(DeviceError, match="Unknown device"):
            choose_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this computer has a CUDA device")
def test_a_missing_cuda_says_what_to_do() -> None:
    with pytest.raises(DeviceError, match="choose the device cpu"):
        choose_device("cuda")
    assert device_problem("cuda:0") == device_problem("cuda")
    assert choose_device("auto").type != "cuda"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_labels(slices: np.ndarray) -> None:
    network = make_network()
    with Executor(network, choose_device("cuda")) as executor:
        assert 1 <= executor.batch_size(256, 256) <= 32
        labels = executor.run(slices).argmax(1).cpu()
    assert (labels != plain(network, slices).argmax(1)).float().mean() < 1e-3
    with pytest.raises(DeviceError, match="numbered from 0"):
        choose_device("cuda:99")


def test_support_for_bfloat16_is_known() -> None:
    assert supports_bfloat16(CPU) in {True, False}


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_the_allocator_is_tuned_in_a_process_of_its_own() -> None:
    code = "import torch; from napari_scse.execution import tune_allocator as t; print(t()); torch.ones(2**25).sum()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() in {"True", "False"}  # False where the C library is not glibc
