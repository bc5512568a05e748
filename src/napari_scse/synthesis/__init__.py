"""Make T1-weighted scans out of label maps.

Each draw deforms a label map, gives every tissue an intensity drawn from the T1 priors, and spoils the result as
scanners do: bias field, blur, resolution, noise, contrast, brightness, a missing skull or face. The idea and the priors
are SynthSeg's (Billot et al., Medical Image Analysis 86, 2023); the choices that differ are:

- tissue outside the brain varies by its own factor on top of the priors (raw scans have fat brighter than white
  matter),
- a scan is scaled by the median intensity of its *labelled* voxels, the quantity that inference can estimate as well,
- only the box that is asked for is computed, so that a slab for training costs a fraction of a whole head.

Everything is plain torch, on any device, and a function of the generator's state.
"""

from napari_scse.synthesis.config import SynthesisConfig
from napari_scse.synthesis.heads import label_map_classes, label_map_partners, synthesise
from napari_scse.synthesis.synthesiser import Box, Synthesiser

__all__ = ["Box", "SynthesisConfig", "Synthesiser", "label_map_classes", "label_map_partners", "synthesise"]
