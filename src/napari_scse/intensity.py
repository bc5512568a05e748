"""From a scanner's numbers to those a network was trained on.

Scanners have no common unit. Whatever comes, the background is brought to 0 (`prepare`) and the rest is multiplied by
one number, such that the median over the voxels that carry a label is the run's `labelled_median`: training does so
with its labels, inference with those of a first coarse pass (`labelled_gain`). For that pass there are no labels yet:
it takes the median over the bright part of the volume instead (`foreground_gain`).

The result depends neither on the unit nor on an offset of the volume: ``a * volume + b`` (a > 0) enters a network as
`volume` does, but for rounding.
"""

from __future__ import annotations

import numpy as np

from napari_scse.errors import InputError

_SAMPLE = 2_000_000  # voxels that a percentile is estimated from
_BACKGROUND = 0.5  # percentile of all voxels that counts as background: 0
_DARKEST = 0.01  # percentile of the finite ones that does so where the others suffice: a lone number does not count
_HOT = 99.9  # percentile beyond which voxels do not count when the foreground is looked for
_EXTREME = 1e30  # float32 has no room for the differences of numbers beyond


def prepare(data: np.ndarray) -> np.ndarray:
    """Bring any volume to finite float32 with its background at 0.

    Parameters
    ----------
    data
        Real numbers of any type and shape. NaN and infinities count as background, darker than all others: a brain
        whose surroundings are masked out with NaN comes out much as one where they are 0.

    Returns
    -------
    numpy.ndarray
        float32, C order, >= 0, the same shape; always a new array.

    Raises
    ------
    InputError
        If no voxel is finite, or all finite voxels are equal.
    """
    if data.dtype.kind not in "biuf":
        raise InputError(f"Intensities are real numbers; this volume holds {data.dtype}.")
    finite = np.isfinite(data) if data.dtype.kind == "f" else None
    known = data if finite is None or finite.all() else data[finite]
    if not known.size:
        raise InputError("The volume has no finite voxel (all are NaN or infinite): there is nothing to see in it.")
    smallest, largest = known.min(), known.max()
    if smallest == largest:
        raise InputError(f"The volume is constant (every voxel is {smallest!s}): there is nothing to see in it.")
    unit = _unit(max(abs(float(smallest)), abs(float(largest))))
    wide = unit != 1.0 or data.dtype.itemsize > 4 or (data.dtype.kind in "iu" and data.dtype.itemsize > 2)
    work: np.ndarray = np.array(data, dtype=np.float64 if wide else np.float32, order="C")
    if unit != 1.0:
        np.divide(work, unit, out=work)
    share = 1 - known.size / data.size
    percent = max((_BACKGROUND - 100 * share) / (1 - share), _DARKEST)
    low = float(np.percentile(_sample(np.asarray(known)), percent)) / unit
    if not low < float(largest) / unit:
        low = float(smallest) / unit
    if finite is not None:
        work[~finite] = low
    np.subtract(work, low, out=work)
    np.maximum(work, 0, out=work)
    return work.astype(np.float32, copy=False)


def foreground_gain(data: np.ndarray, labelled_median: float) -> float:
    """Estimate `labelled_gain` without labels: the median of the foreground becomes `labelled_median`.

    Parameters
    ----------
    data
        What `prepare` returned, or a part of it. The foreground is what is brighter than the mean.
    """
    sample = _sample(data)
    hot = np.percentile(sample, _HOT)
    level = np.minimum(sample, hot).mean() if hot > 0 else 0.0
    gain = _gain(sample[sample > level], labelled_median)
    return gain or labelled_median / max(float(data.max()), float(np.finfo(np.float32).tiny))


def labelled_gain(data: np.ndarray, labelled: np.ndarray, labelled_median: float) -> float | None:
    """Return the factor by which the median over the labelled voxels becomes `labelled_median`.

    Parameters
    ----------
    data
        What `prepare` returned, or a part of it.
    labelled
        Boolean, the same shape: which voxels carry a label.

    Returns
    -------
    float or None
        None where nothing is labelled, or the median is 0.
    """
    return _gain(data[labelled], labelled_median)


def normalise(data: np.ndarray, gain: float, clip: float) -> np.ndarray:
    """Multiply by `gain` and cut off at `clip`: what a network sees. float32, the same shape, a new array."""
    out: np.ndarray = np.multiply(data, np.float32(gain), dtype=np.float32)
    np.clip(out, 0, np.float32(clip), out=out)
    return out


def _gain(values: np.ndarray, labelled_median: float) -> float | None:
    median = float(np.median(values)) if values.size else 0.0
    return labelled_median / median if median > 0 else None


def _sample(data: np.ndarray) -> np.ndarray:
    flat = data.reshape(-1)
    sample: np.ndarray = flat[:: max(1, flat.size // _SAMPLE)].astype(np.float64)
    return sample


def _unit(peak: float) -> float:
    """Divide numbers by this before they go to float32: 1 but for absurdly large or small ones."""
    return 1.0 if 1 / _EXTREME < peak < _EXTREME else peak
