# A survey's catalogue in shards, each a job of its own; one that fails is tried again alone, from where it was.
#
#   snakemake -s ci/classify.smk --cores 2 --config inputs=cutouts.parquet out=survey shards=4
#   snakemake -s ci/classify.smk --executor slurm --jobs 8 --config inputs=cutouts.parquet out=survey shards=64
#
# `inputs` (several with spaces between) and `options` go to every `galaxylib classify`, `threads` is how many cores
# a job gets. The folder `out` becomes a dataset of Parquet files; its `_manifest.json` is written last.
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir).parent))

from ci.parameters import typed
from galaxylib.catalogue.shards import MANIFEST, Shard

config |= typed(sys.argv)
INPUTS = shlex.split(config["inputs"])
OUT = config.get("out", "_build/survey")
OPTIONS = config.get("options", "")
SHARDS = int(config.get("shards", "4"))
GALAXYLIB = f"{shlex.quote(sys.executable)} -m galaxylib"


rule dataset:
    input:
        [f"{OUT}/{Shard(number, SHARDS).file}" for number in range(1, SHARDS + 1)],
    output:
        f"{OUT}/{MANIFEST}",
    localrule: True
    params:
        out=OUT,
    shell:
        "{GALAXYLIB} merge {params.out:q}"


rule shard:
    input:
        [path for path in INPUTS if not {*"{*?"} & {*path}],  # Snakemake takes a path with braces for a pattern
    output:
        f"{OUT}/shard-{{number}}-of-{SHARDS:05d}.parquet",
    params:
        inputs=INPUTS,
        out=OUT,
    retries: 3
    threads: int(config.get("threads", "1"))
    resources:
        gpu=1,
    shell:
        "{GALAXYLIB} classify {params.inputs:q} --out {params.out:q} --shard {wildcards.number}/{SHARDS} {OPTIONS} --quiet"
