"""ReLayNet: SD-Net for retinal OCT, with kernels of 3x7 and three encoders.

Source: Roy et al., Biomedical Optics Express 8(8), 2017 (arXiv 1704.02161); Roy, Navab, Wachinger 2018
(arXiv 1808.08127), section IV-G, puts scSE after every block.

* 3 rows, 7 columns. ``paper-count`` has one PReLU slope a block, as the authors' checkpoints do (777,424 parameters);
  ``paper-text`` has ReLU.
"""

from __future__ import annotations

from napari_scse.nn.sdnet import SDNet


class ReLayNet(SDNet):
    """ReLayNet: the block is SD-Net's."""
