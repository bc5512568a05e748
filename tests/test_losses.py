import numpy as np
import pytest
import torch

from napari_scse.losses import median_frequency_weights, segmentation_loss


def test_median_frequency_counts_only_the_slices_in_which_a_class_occurs() -> None:
    pixels = torch.tensor([80.0, 15.0, 5.0, 0.0])
    where = torch.tensor([100.0, 100.0, 20.0, 0.0])
    frequencies = np.array([0.8, 0.15, 0.25])
    weights = median_frequency_weights(pixels, where)
    np.testing.assert_allclose(weights[:3], np.median(frequencies) / frequencies, rtol=1e-6)
    assert weights[3] == 0
    tamed = median_frequency_weights(pixels, where, power=0.5, limit=1.1)
    np.testing.assert_allclose(tamed[:3], np.minimum((0.25 / frequencies) ** 0.5, 1.1), rtol=1e-6)


def numpy_loss(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, dice_weight: float) -> float:
    """The same in plain float64 NumPy."""
    probability = np.exp(logits - logits.max(1, keepdims=True))
    probability /= probability.sum(1, keepdims=True)
    one_hot = np.moveaxis(np.eye(logits.shape[1])[labels], -1, 1)
    logistic = (-np.log((probability * one_hot).sum(1)) * weights[labels]).mean()
    axes = (0, 2, 3)
    truth, predicted, both = one_hot.sum(axes), probability.sum(axes), (probability * one_hot).sum(axes)
    dice = ((2 * both + 1) / (truth + predicted + 1))[1:][truth[1:] > 0]
    return float(logistic + dice_weight * (1 - dice.mean()))


@pytest.mark.parametrize("dice_weight", [0.0, 0.7])
def test_the_loss_is_its_definition(dice_weight: float) -> None:
    random = np.random.default_rng(3)
    logits, labels = random.normal(size=(2, 5, 7, 6)), random.integers(0, 4, (2, 7, 6))
    weights = np.array([0.1, 1.0, 2.0, 0.5, 9.0])
    found = segmentation_loss(
        torch.tensor(logits), torch.tensor(labels), torch.tensor(weights, dtype=torch.float32), dice_weight
    )
    assert float(found) == pytest.approx(numpy_loss(logits, labels, weights, dice_weight), rel=1e-5)


def test_a_batch_of_background_has_a_gradient_that_is_a_number() -> None:
    logits = torch.zeros(1, 3, 4, 4, requires_grad=True)
    segmentation_loss(logits, torch.zeros(1, 4, 4, dtype=torch.int64), torch.ones(3), 1.0).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().max() > 0
