"""What the paper calls things, and the numbers of its Table III."""

from __future__ import annotations

from variant_study.scores import REAL, SYNTHETIC

CITATION = (
    "Roy, Navab, Wachinger, *Recalibrating Fully Convolutional Networks With Spatial and Channel “Squeeze and "
    "Excitation” Blocks*, IEEE Transactions on Medical Imaging 38(2):540–549, 2019 "
    "([arXiv 1808.08127](https://arxiv.org/abs/1808.08127))"
)

# in the order of Table III
NETWORKS = {"fc-densenet": "FC-DenseNet", "sd-net": "SD-Net", "u-net": "U-Net"}
VARIANTS = {"none": "none", "cse": "cSE", "sse": "sSE", "scse": "scSE"}
KINDS = {SYNTHETIC: "held-back synthetic heads", REAL: "real heads"}

# Network → variant → mean and standard deviation of Dice on the 15 test scans of MALC.
TABLE_THREE = {
    "fc-densenet": {"none": (0.842, 0.058), "cse": (0.865, 0.069), "sse": (0.876, 0.061), "scse": (0.889, 0.065)},
    "sd-net": {"none": (0.771, 0.150), "cse": (0.790, 0.120), "sse": (0.860, 0.062), "scse": (0.867, 0.082)},
    "u-net": {"none": (0.763, 0.110), "cse": (0.825, 0.063), "sse": (0.837, 0.058), "scse": (0.851, 0.058)},
}
