"""Bring trained variants into models/, each with a card: ``python tools/export_models.py RUNS [NAME …]``.

RUNS is the folder that `tools/train_models.py` trains into. A finished variant that models/ lacks is exported there in
float16, its last epoch alone; of FC-DenseNet with scSE, seed 1, all epochs are, so that its training can be watched.
What is there already stays as it is. Then ``registry.json`` is written anew.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from train_models import RUNS, is_finished

from napari_scse.atomic import write_atomically
from napari_scse.errors import ScseError
from napari_scse.runs import Run, export_run
from napari_scse.runs.publishing import register_runs, write_registry

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "models"
WATCHED = "brain-t1-variant-densenet-scse"
NETWORKS = {"u-net": "U-Net", "sd-net": "SD-Net", "fc-densenet": "FC-DenseNet"}
EXCITED = {"none": "without squeeze & excitation", "cse": "with cSE", "sse": "with sSE", "scse": "with scSE"}

CARD = """# {name}

One of sixteen comparable brain-T1 runs: {network} {excited}, seed {seed}, {epochs} of a short training.

- **Labels**: the 27 structures of Roy, Navab and Wachinger (2018), FreeSurfer's numbers, names and colours.
- **Input**: T1-weighted brain scans of adults, any orientation, spacing and intensity range, with or without the
  skull. The network works on single coronal slices at 1 mm.
- **Training data**: synthetic scans made from SynthSeg's label maps 1–16; 17–20 were held back. No real scan.
- **Recipe**: {steps:,} steps; the command in `run.json`, explained in `docs/recipes/brain-t1.md`. All variants of a
  seed saw the same slices in the same order.
- **Dice**, mean over the structures: {dice:.3f} on held-back synthetic scans after the last epoch.
- **Weights**: float16, batch-norm statistics float32.
- **Limits**: made to compare networks and SE variants, not to segment with: for that take `brain-t1`,
  which was trained much longer. Lesions, tumours, surgery, children and contrasts other than T1 were never seen.
  Research and teaching only.
- **Licence**: BSD-3-Clause. Trained from label maps and intensity priors under the Apache License 2.0 by the authors
  of SynthSeg: B. Billot et al., *SynthSeg: Segmentation of brain MRI scans of any contrast and resolution without
  retraining*, Medical Image Analysis 86:102789, 2023.
"""


def card(run: Run, name: str, epochs: tuple[int, ...]) -> str:
    """The README of an exported run."""
    training = run.config.training
    told = "every epoch" if len(epochs) > 1 else "the last epoch"
    return CARD.format(
        name=name,
        network=NETWORKS[run.config.network.kind],
        excited=EXCITED[str(run.config.network.excitation)],
        seed=training["seed"],
        epochs=told,
        steps=training["epochs"] * -(-training["slices"] // training["batch"]),
        dice=run.metrics()[-1]["validation_dice"],
    )


def main() -> None:
    """Do what the options say."""
    parser = argparse.ArgumentParser(description="Bring trained variants into models/.")
    parser.add_argument("runs", type=Path, help="the folder of the trained runs' folders")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; all variants if not given")
    options = parser.parse_args()
    for name in options.names or [name for name in RUNS if "-variant-" in name]:
        card_file = MODELS / name / "README.md"
        if card_file.exists() or not is_finished(name, options.runs):
            continue
        try:
            shutil.rmtree(card_file.parent, ignore_errors=True)  # without a card: only a part was exported
            run = Run(options.runs / name)
            epochs = run.epochs if name == WATCHED else (run.last_epoch,)
            export_run(run, MODELS / name, epochs)
            write_atomically(card_file, card(run, name, epochs).encode())
        except ScseError as error:
            sys.exit(f"export_models: {error}")
        sys.stdout.write(f"{name}\n")
    write_registry(register_runs(MODELS), ROOT / "src" / "napari_scse" / "runs" / "registry.json")


if __name__ == "__main__":
    main()
