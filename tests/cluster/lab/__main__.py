"""Start and stop the lab by hand: `python tests/cluster/lab up` or `down`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab.cluster import Lab
from lab.machine import LabError


def main(words: list[str]) -> None:
    if words == ["up"]:
        print(f"export SLURM_CONF={Lab.up().layout.slurm_conf}")
    elif words == ["down"]:
        lab = Lab.found()
        print(lab.down() if lab else "no lab is up")
    else:
        raise LabError("usage: python tests/cluster/lab up|down")


try:
    main(sys.argv[1:])
except LabError as error:
    sys.exit(str(error))
