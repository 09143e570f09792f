# The paper as a graph: data -> split -> train -> evaluate -> baselines -> dreams -> votes -> ledger -> HTML.
#
# A chapter re-runs exactly when its source, its parameters, the parts of galaxylib that it reaches, the lock,
# its data or an upstream result changed; `make why` says which. Started by `make book` (ci/book.py), and
# `snakemake --cores all --config profile=smoke` works too.
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(workflow.basedir))
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

from ci.imports import used_files
from ci.parameters import names, profile_values, run_name, typed

from galaxylib.votes.zoo2 import SOLUTIONS

config |= typed(sys.argv)
PROFILE = config.get("profile", "default")
DATA = config.get("data", "simulated")
REAL_SAMPLE = config.get("real_sample", "")
VOTES = config.get("votes", "simulated")
REPOSITORY = str(config.get("repository", ""))  # on the web: launch buttons lead there
AGAINST = str(config.get("against", ""))  # a finished run, which a page compares this one with
RELEASE = Path(AGAINST or "benchmarks/results/release")
RESULTS = f"_build/results/{run_name(PROFILE, DATA)}"
# Chapters that do not wait for each other run side by side, each on its share of the cores: a small network
# gains little from a second core, and two processes that both want all of them slow each other many times
# over. The paper's profile is for a GPU, which one chapter fills.
SHARE = workflow.cores if PROFILE == "paper" else max(1, workflow.cores // 2)

# Which earlier chapters' results a chapter reads.
UPSTREAM = {
    "01_data": [],
    "02_architecture": [],
    "03_training": ["01_data"],
    "04_evaluation": ["01_data", "03_training"],
    "05_baselines": ["01_data"],
    "06_deepdream": ["01_data", "03_training"],
    "07_votes": ["01_data", "03_training"],
    "08_ledger": [
        "01_data",
        "02_architecture",
        "03_training",
        "04_evaluation",
        "05_baselines",
        "06_deepdream",
        "07_votes",
    ],
    "09_your_galaxies": [],
    "10_concepts": ["01_data"],
}
# What a chapter reads beside galaxy images.
MEASURED = sorted(map(str, Path("benchmarks/results").glob("*real*.json")))
READING = "benchmarks/results/reading.json"
BLIND = "benchmarks/results/blind_test.json"
REFERENCE = sorted(map(str, Path("benchmarks/results/reference").rglob("*.json")))
CONCEPTS = [f"benchmarks/results/{name}.json" for name in ("probes", "concepts_real", "concept_dreams")]
ATLAS = sorted(map(str, Path("benchmarks/results/atlas").glob("*.*")))
PIECES = sorted(map(str, Path("web").glob("*.html")))
DESCRIPTIONS = sorted(map(str, Path("galaxylib/weights").glob("*/checkpoint.json")))
CLAIMS = "book/claims.yml"


# The parts of ci/ that the pages depend on.
PAGES = (
    "pages",
    "atlas",
    "lab_pages",
    "numbering",
    "page_scripts",
    "finish",
    "picture",
    "appendix",
    "licences",
    "manifest",
    "origins",
    "figures",
    "compare",
    "diff",
    "crate",
    "rerun",
)


def shipped(network):
    """The trained weights that come with the library, where they do; "*" for those of all networks."""
    return sorted(map(str, Path("galaxylib/weights").glob(f"{network}/*.safetensors")))


FILES = {
    "01_data": [*MEASURED, READING, BLIND, *DESCRIPTIONS],
    "02_architecture": [CLAIMS],
    "03_training": [BLIND, *REFERENCE, *DESCRIPTIONS],
    "04_evaluation": [BLIND, *REFERENCE, *DESCRIPTIONS, *shipped("*")],
    "05_baselines": REFERENCE,
    "06_deepdream": ["galaxylib/dream/prior.npz", *CONCEPTS, *shipped("real"), *shipped("real-small")],
    "07_votes": [CLAIMS, *REFERENCE, "benchmarks/results/bridge.json", *shipped("zoo2"), *shipped("pretrained")],
    "08_ledger": [CLAIMS, *REFERENCE, "benchmarks/results/published_labels.json"],
    "09_your_galaxies": shipped("real*"),
    "10_concepts": [*CONCEPTS, "benchmarks/results/atlas/atlas.json", *shipped("real*")],
}


def values(chapter):
    """The parameters given to a chapter: the profile's, then those of the command line."""
    takes = names(Path("book", f"{chapter}.py"))
    given = {"profile": PROFILE, "data": DATA, "outputs": RESULTS, "real_sample": REAL_SAMPLE, "votes": VOTES}
    chosen = profile_values(PROFILE, chapter, takes=takes)
    return chosen | {name: value for name, value in given.items() if name in takes}


def files(chapter):
    """The galaxy images and other files that a chapter is given."""
    given = values(chapter)
    images = [given.get("data", "simulated"), given.get("real_sample", "")]
    if given.get("votes", "simulated") != "simulated":
        images.append(str(Path(given["votes"], SOLUTIONS)))
    return [path for path in images if path not in ("simulated", "")] + FILES.get(chapter, [])


# What the profile asks of the dream lab.
LAB = profile_values(PROFILE, "lab", takes=[])


rule book:
    input:
        f"{RESULTS}/html/index.html",


for rank, chapter in enumerate(UPSTREAM):

    rule:
        name:
            chapter
        input:
            source=f"book/{chapter}.py",
            library=[str(path) for path in used_files(Path("book", f"{chapter}.py"))],
            lock="requirements.lock",
            files=[path for path in files(chapter) if "{" not in path],
            upstream=[f"{RESULTS}/{earlier}.json" for earlier in UPSTREAM[chapter]],
        output:
            numbers=f"{RESULTS}/{chapter}.json",
            notebook=f"{RESULTS}/notebooks/{chapter}.ipynb",
        params:
            values=lambda _, chapter=chapter: json.dumps(values(chapter), sort_keys=True),
            # Snakemake takes a path with braces for a pattern: such a file is known by its size and time.
            stamps=[os.stat(path)[6:9:2] for path in files(chapter) if "{" in path],
        benchmark:
            f"{RESULTS}/times/{chapter}.tsv"
        # The first one draws the galaxies, with a process on every core, and nearly all others wait for it.
        threads: workflow.cores if chapter == "01_data" else SHARE
        priority: 100 if chapter == "01_data" else len(UPSTREAM) - rank
        shell:
            "OMP_NUM_THREADS={threads} python -m ci.execute {input.source} --values {params.values:q} --out {output.notebook:q}"


rule manifest:
    input:
        numbers=[f"{RESULTS}/{chapter}.json" for chapter in UPSTREAM],
        notebooks=[f"{RESULTS}/notebooks/{chapter}.ipynb" for chapter in UPSTREAM],
        code=["ci/manifest.py", "ci/figures.py"],
    output:
        f"{RESULTS}/manifest.json",
    threads: workflow.cores
    shell:
        "python -m ci.manifest {RESULTS:q}"


rule assets:
    input:
        ["ci/npm/package-lock.json", "ci/assets.py"],
    output:
        "_build/assets/mathjax/es5/tex-mml-chtml.js",
    threads: 1
    shell:
        "python -m ci.assets _build/assets"


rule lab:
    input:
        trained=f"{RESULTS}/03_training.json",
        library=[str(path) for path in used_files(Path("ci/lab.py"))],
        code=["ci/lab.py", "ci/lab_examples.py", "ci/lab_pages.py"],
        pieces=[piece for piece in PIECES if piece != "web/atlas.html"],
        weights=[*shipped("real-small"), *(shipped("real") if LAB.get("full_sizes", True) else [])],
        assets="_build/assets/mathjax/es5/tex-mml-chtml.js",
    output:
        f"{RESULTS}/lab/index.json",
    params:
        values=json.dumps(LAB, sort_keys=True),
    benchmark:
        f"{RESULTS}/times/lab.tsv"
    threads: SHARE
    shell:
        "OMP_NUM_THREADS={threads} python -m ci.lab {RESULTS:q} _build/assets --values {params.values:q}"


rule html:
    input:
        notebooks=[f"{RESULTS}/notebooks/{chapter}.ipynb" for chapter in UPSTREAM],
        manifest=f"{RESULTS}/manifest.json",
        text=sorted(map(str, [*Path("book").glob("*.md"), *Path("book").glob("*.bib")])),
        served=sorted(str(path) for part in ("style", "images") for path in Path("book", part).glob("*")),
        config=["_config.yml", "_toc.yml", "CITATION.cff", *(f"ci/{name}.py" for name in PAGES)],
        library=sorted(map(str, Path("galaxylib").rglob("*.py"))),  # its docstrings are the API reference
        lab=f"{RESULTS}/lab/index.json",
        scripts=sorted(map(str, [*Path("web").glob("*.js"), *Path("web").glob("*.css")])),
        atlas=[*PIECES, *ATLAS],
        release=[path for path in sorted(map(str, RELEASE.glob("*.json"))) if "{" not in path],
        assets="_build/assets/mathjax/es5/tex-mml-chtml.js",
    output:
        f"{RESULTS}/html/index.html",
    params:
        repository=["--repository", REPOSITORY] if REPOSITORY else [],
        against=["--against", AGAINST] if AGAINST else [],
    benchmark:
        f"{RESULTS}/times/html.tsv"
    threads: workflow.cores
    shell:
        "python -m ci.pages {RESULTS:q} {params.repository:q} {params.against:q}"
