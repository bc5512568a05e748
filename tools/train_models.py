"""Train the runs of the project: ``python tools/train_models.py LABEL_MAPS OUT [NAME …]``.

The two that are distributed come first; then further planes for segmentation, and every network with every SE variant.

LABEL_MAPS is the folder of SynthSeg's ``seg_01.nii.gz`` … ``seg_20.nii.gz``; OUT gets a folder for each run. What is
finished is passed over and what was begun goes on after its last epoch, so that the same command can be given again
after any interruption. Without names all are trained, one after the other, in the order in which they need each other.

``--list`` prints the commands instead.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

RECIPE = (
    "--optimizer adamw --schedule one-cycle --clip-gradient 1 --dice-weight 1 --weight-power 0.5 --weight-limit 5 "
    "--patience 1000"
)
STRAYING = "--synthesis contrast=1.5,coupling=0:0.95,texture=0.12"
SEGMENTATION = f"--network fc-densenet --se scse --neighbours 2 {RECIPE}"
PLANE = (
    f"{SEGMENTATION} --slices 1408 --learning-rate 0.001 --norm-momentum 0.01 --synthesis contrast=1.4,"
    "coupling=0:0.95,fading=0.3,parting=0.25,texture=0.12,variation=0.06,deviation=0.15:0.85"
)
VARIANT = f"--canvas 144x144 --epochs 7 --slices 512 --learning-rate 0.002 --norm-momentum 0.02 {RECIPE} {STRAYING}"

#: Name → options of `napari-scse train`; ``{NAME}`` stands for the folder of another run.
RUNS: dict[str, str] = {
    "brain-t1-densenet-sse": f"--network fc-densenet --se sse --canvas 144x144 --epochs 7 --slices 1504 "
    f"--learning-rate 0.002 --seed 1 {RECIPE}",
    # The coronal plane of the segmentation model, in stages.
    "coronal-1": f"{SEGMENTATION} --canvas 160x160 --epochs 8 --slices 1600 --learning-rate 0.002 --seed 1",
    "coronal-2": f"{SEGMENTATION} --canvas 160x160 --epochs 5 --slices 960 --learning-rate 0.001 --seed 2 "
    "--synthesis contrast=1.5,texture=0.1 --init {coronal-1}",
    "coronal-3": f"{SEGMENTATION} {STRAYING} --canvas 160x160 --epochs 6 --slices 1120 --learning-rate 0.001 --seed 3 "
    "--init {coronal-2}",
    "brain-t1-coronal": f"{SEGMENTATION} {STRAYING} --canvas 160x160 --epochs 1 --slices 480 --learning-rate 0.00003 "
    "--norm-momentum 0.02 --seed 6 --init {coronal-3}",
    # The other planes, from the coronal one.
    "axial-1": f"{PLANE} --plane axial --canvas 192x160 --epochs 6 --seed 4 --init {{brain-t1-coronal}}",
    "brain-t1-axial": f"{PLANE} --plane axial --canvas 192x160 --epochs 5 --seed 7 --init {{axial-1}}",
    "brain-t1-sagittal": f"{PLANE} --plane sagittal --canvas 160x192 --epochs 6 --seed 5 --init {{brain-t1-coronal}}",
    # Further stages, with scans as FreeSurfer normalises them among the others. Not bundled.
    "coronal-5": f"{PLANE},control_points=0.5 --canvas 160x160 --epochs 5 --seed 9 --init {{brain-t1-coronal}}",
    "axial-3": f"{PLANE},control_points=0.5 --plane axial --canvas 192x160 --epochs 5 --seed 10 "
    "--init {brain-t1-axial}",
    "sagittal-2": f"{PLANE},control_points=0.5 --plane sagittal --canvas 160x192 --epochs 4 --seed 8 "
    "--init {brain-t1-sagittal}",
}
# Every network with every SE variant, on one and the same stream of slices; FC-DenseNet with a second seed as well.
for network, short in (("u-net", "unet"), ("sd-net", "sdnet"), ("fc-densenet", "densenet")):
    for excitation in ("none", "cse", "sse", "scse"):
        for seed in (1, 2) if network == "fc-densenet" else (1,):
            RUNS[f"brain-t1-variant-{short}-{excitation}{'-seed2' if seed == 2 else ''}"] = (
                f"--network {network} --se {excitation} --seed {seed} {VARIANT}"
            )


def command(name: str, label_maps: Path, out: Path) -> list[str]:
    """The command that trains a run, or goes on with it."""
    folders = {run: str(out / run) for run in RUNS}
    options = shlex.split(RUNS[name].format_map(folders))
    resume = ["--resume"] if (out / name / "resume.safetensors").exists() else []
    places = ["--out", str(out / name), "--label-maps", str(label_maps)]
    return [str(Path(sys.executable).with_name("napari-scse")), "train", *places, *options, *resume]


def is_finished(name: str, out: Path) -> bool:
    """Whether the last epoch of a run is there."""
    options = shlex.split(RUNS[name])
    last = int(options[options.index("--epochs") + 1])
    return (out / name / f"epoch-{last:04d}.safetensors").exists()


def main() -> None:
    """Do what the options say."""
    parser = argparse.ArgumentParser(description="Train the runs of the project.")
    parser.add_argument("label_maps", type=Path, help="the folder of SynthSeg's label maps")
    parser.add_argument("out", type=Path, help="the folder of the runs' folders")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RUNS)}")
    parser.add_argument("--list", action="store_true", help="print the commands")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in RUNS]
    if unknown:
        parser.error(f"there is no run called {', '.join(unknown)}")
    for name in options.names or RUNS:
        line = command(name, options.label_maps, options.out)
        if options.list:
            sys.stdout.write(f"{shlex.join(line)}\n")
        elif is_finished(name, options.out):
            sys.stdout.write(f"{name} is finished\n")
        else:
            sys.stdout.write(f"{name} …\n")
            sys.stdout.flush()
            code = subprocess.run(line).returncode
            if code:
                sys.exit(code)


if __name__ == "__main__":
    main()
