"""Write the registry of the runs in models/, and their files under the names of a release's assets.

python tools/make_registry.py              writes src/napari_scse/runs/registry.json
python tools/make_registry.py --assets DIR copies the files to DIR as well, ready for upload
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from napari_scse.errors import ScseError
from napari_scse.runs.publishing import copy_assets, register_runs, write_registry

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Do what the options say."""
    parser = argparse.ArgumentParser(description="Write the registry of the runs that can be fetched.")
    parser.add_argument("models", type=Path, nargs="?", default=ROOT / "models", help="the folder of the runs' folders")
    parser.add_argument("--out", type=Path, default=ROOT / "src" / "napari_scse" / "runs" / "registry.json")
    parser.add_argument("--assets", type=Path, metavar="DIR", help="copy the files there under their assets' names")
    options = parser.parse_args()
    try:
        runs = register_runs(options.models)
        write_registry(runs, options.out)
        if options.assets is not None:
            copy_assets(runs, options.models, options.assets)
    except (ScseError, OSError) as error:
        sys.exit(f"make_registry: {error}")
    size = sum(run.size for run in runs) / 1e6
    sys.stdout.write(f"{options.out}: {len(runs)} runs, {size:.1f} MB\n")


if __name__ == "__main__":
    main()
