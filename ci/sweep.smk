# A sweep of training runs, seeds x widths: the spread between seeds, and what a wider network gains.
#
#   snakemake -s ci/sweep.smk --cores 1 --config data=sim.h5 seeds=0,1,2 widths=0.125,0.25
#   snakemake -s ci/sweep.smk --executor slurm --jobs 20 --config data=sim.h5     # on a cluster
#
# `options` goes to every `galaxylib train`. Each run is a job of its own; one that was cut goes on where it was.
# `sweep.csv` in the folder `out` has a line a run: seed, width, and the scores on the test galaxies.
import csv
import json
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir).parent))

from ci.parameters import typed

config |= typed(sys.argv)
DATA = config["data"]
OUT = config.get("out", "_build/sweep")
OPTIONS = config.get("options", "--recipe quick")
SEEDS = str(config.get("seeds", "0,1,2")).split(",")
WIDTHS = str(config.get("widths", "0.125,0.25")).split(",")
SCORES = ("n", "accuracy", "macro_f1", "weighted_f1")
GALAXYLIB = f"{shlex.quote(sys.executable)} -m galaxylib"


rule table:
    input:
        expand(f"{OUT}/seed{{seed}}-width{{width}}/evaluation.json", seed=SEEDS, width=WIDTHS),
    output:
        f"{OUT}/sweep.csv",
    run:
        with open(output[0], "w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(("seed", "width", *SCORES))
            for path in input:
                seed, width = path.split("/")[-2].removeprefix("seed").split("-width")
                with open(path) as scores:
                    found = json.load(scores)
                writer.writerow((seed, width, *(found[name] for name in SCORES)))


rule run:
    input:
        [DATA] if "{" not in DATA else [],  # Snakemake takes a path with braces for a pattern
    output:
        f"{OUT}/seed{{seed}}-width{{width}}/evaluation.json",
    params:
        data=lambda _: DATA,
        folder=f"{OUT}/seed{{seed}}-width{{width}}",
    threads: 2
    resources:
        gpu=1,
    shell:
        "{GALAXYLIB} train --data {params.data:q} --out {params.folder:q} {OPTIONS} --seed {wildcards.seed}"
        " --width {wildcards.width} --resume --quiet && "
        "{GALAXYLIB} evaluate --data {params.data:q} --checkpoint {params.folder:q} --part test --out {params.folder:q} --quiet"
