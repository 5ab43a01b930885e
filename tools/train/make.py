#!/usr/bin/env python3
"""From packages to the files of the model `timbre@7`: see README.md.

    make.py WORK [STAGE ...] [--kits 1000] [--composers 200] [--steps 12000] [--seed 0]

Without a stage, all but `ship` run in order, and what is there already is skipped. WORK takes about 15 GB.
"""

import argparse
import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads must not spin: the machine may be shared
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from timbre import stages

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work")
    parser.add_argument("stage", nargs="*", choices=[*stages.STAGES, []])
    parser.add_argument("--kits", type=int, default=1000, help="synthesised kits")
    parser.add_argument("--composers", type=int, default=200, help="invented composers, three pieces each")
    parser.add_argument("--songrec", default="songrec", help="the program that measures music")
    parser.add_argument("--steps", type=int, default=12_000, help="training steps of the network")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--name", default="timbre", help="of the trained network below WORK/models")
    parser.add_argument("--width", type=float, default=1.0, help="of the network's layers")
    parser.add_argument("--leave-out", nargs="*", default=[], help="training sources that are not used")
    parser.add_argument("--rate", type=float, default=2e-3, help="how fast the network learns at first")
    parser.add_argument("--first", help="a trained network to begin with")
    parser.add_argument("--teachers", nargs="*", default=[], help="trained networks whose answers count as well")
    parser.add_argument("--whole", action="store_true", help="use what `without` in sources.toml leaves out, too")
    parser.add_argument("--no-tail", action="store_true", help="hide all after the first second, to see what it gives")
    options = parser.parse_args()
    for stage in options.stage or [name for name in stages.STAGES if name not in stages.NOT_BY_THEMSELVES]:
        stages.STAGES[stage](options)
