"""Squeeze & excitation in a network that is not from this package.

A small residual network in plain torch learns to tell bright discs from bright squares on noise. Excitation is put
behind two of its stages by name, the network is trained for some seconds, and its gates are looked at and switched.

    python examples/residual_network.py            channel gates (cSE), printed
    python examples/residual_network.py --show     scSE, with the spatial gates beside the images in napari
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_scse import add_excitation, override_gates, record_excitations, sites

CLASSES = ("disc", "square")
SIZE = 32  # pixels, both ways


class ResidualBlock(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.around = nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H / stride, W / stride)."""
        u = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(u)) + self.around(x))


class ResidualNetwork(nn.Module):
    """Knows nothing of excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = ResidualBlock(1, 8)
        self.layer2 = ResidualBlock(8, 16, stride=2)
        self.classify = nn.Linear(16, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) -> logits (N, classes)."""
        scores: Tensor = self.classify(self.layer2(self.layer1(x)).mean((2, 3)))
        return scores


def make_images(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return images (count, 1, SIZE, SIZE) of one shape each, and its class, (count,); both shapes have one area."""
    kind = torch.randint(2, (count,), generator=generator)
    radius = 5 + 3 * torch.rand(count, 1, 1, generator=generator)
    middle = 9 + (SIZE - 18) * torch.rand(2, count, 1, 1, generator=generator)
    steps = torch.arange(SIZE)
    down, right = (steps[:, None] - middle[0]).abs(), (steps - middle[1]).abs()
    disc = down.square() + right.square() <= radius.square()
    square = torch.maximum(down, right) <= radius * torch.pi**0.5 / 2
    shape = torch.where(kind[:, None, None] == 0, disc, square)
    noise = 0.4 * torch.randn(count, SIZE, SIZE, generator=generator)
    return (shape + noise)[:, None], kind


def train(network: nn.Module, steps: int, generator: torch.Generator) -> None:
    """Train in place, 64 new images a step."""
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    ending = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
    network.train()
    for _ in range(steps):
        images, kind = make_images(64, generator)
        optimiser.zero_grad()
        F.cross_entropy(network(images), kind).backward()
        optimiser.step()
        ending.step()
    network.eval()


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, kind: Tensor) -> float:
    """Return the share of the images whose class is found."""
    return float((network(images).argmax(1) == kind).float().mean())


@torch.no_grad()
def gates_by_class(network: nn.Module, images: Tensor, kind: Tensor) -> dict[str, Tensor]:
    """Return, for every channel gate, its mean over the images of each class: (classes, channels)."""
    names = [name for name, site in sites(network).items() if site.kind == "channel"]
    with record_excitations(network, names) as recorder:
        network(images)
    gates = {name: gate[:, :, 0, 0] for name, gate in recorder.maps.items()}
    return {name: torch.stack([gate[kind == k].mean(0) for k in range(len(CLASSES))]) for name, gate in gates.items()}


@torch.no_grad()
def show(network: nn.Module, images: Tensor) -> None:
    """Open napari with the images, and beside them what the spatial gates let through."""
    import napari

    names = [name for name, site in sites(network).items() if site.kind == "spatial"]
    with record_excitations(network, names) as recorder:
        network(images)
    viewer = napari.Viewer(title="Spatial excitation in a residual network")
    viewer.add_image(images[:, 0].numpy(), name="images")
    for name, gate in recorder.maps.items():
        step = SIZE / gate.shape[-1]  # pixels of the image per pixel of the map
        place = {"scale": (1, step, step), "translate": (0, (step - 1) / 2, (step - 1) / 2)}
        viewer.add_image(gate[:, 0].numpy(), name=name, colormap="magma", **place)
    viewer.grid.enabled = True  # side by side
    viewer.reset_view()
    napari.run()


def main(arguments: Sequence[str] | None = None) -> float:
    """Train, tell, show; return the accuracy on images that were not trained on."""
    parser = argparse.ArgumentParser(description="Squeeze & excitation in a residual network.")
    parser.add_argument("--steps", type=int, default=200, help="of training, 64 images each")
    parser.add_argument("--show", action="store_true", help="scSE instead of cSE, its spatial gates in napari")
    options = parser.parse_args(arguments)

    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    images, kind = make_images(500, generator)
    network = add_excitation(ResidualNetwork(), ["layer1", "layer2"], "scse" if options.show else "cse").eval()

    print(f"before the training: {accuracy(network, images, kind):.1%} of {len(images)} images right")
    train(network, options.steps, generator)
    right = accuracy(network, images, kind)
    print(f"after the training:  {right:.1%}")
    for override in ("off", "mean"):
        with override_gates(network, dict.fromkeys(sites(network), override)):
            print(f"  every gate {override + ':':6} {accuracy(network, images, kind):.1%}")
    print("channel gates, mean over the images of a class:")
    for name, means in gates_by_class(network, images, kind).items():
        for label, row in zip(CLASSES, means, strict=True):
            print(f"  {name:9} {label:7}", *(f"{gate:.2f}" for gate in row.tolist()))
    if options.show:
        show(network, images[:50])
    return right


if __name__ == "__main__":
    main()
