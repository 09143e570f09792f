"""Pages written by code: how the book was made, licences, the API; and where its repository is."""

import re
import shutil
from pathlib import Path

import nbformat
import yaml

from ci.licences import tables
from ci.manifest import MANIFEST, page, read
from ci.rerun import add_rerun
from galaxylib.errors import GalaxyError

# Page -> its title, what it is about, and its modules in reading order.
REFERENCE: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "data": (
        "Data",
        "Galaxies come in by one of three doors, are checked, split by sky, and served in batches.",
        ("galaxy10", "fetch", "splits", "workspace", "unpacking", "pixelstore", "pixels", "loader"),
    ),
    "simulate": (
        "Simulation",
        "Ten kinds of galaxy drawn into the same file format: the light, the classes, the survey's camera.",
        (
            *("simulate.run", "simulate.kinds", "simulate.classes", "simulate.bodies", "simulate.spirals"),
            *("simulate.light", "simulate.scene", "simulate.drawing", "simulate.camera", "simulate.pile"),
            *("simulate.chance", "simulate.realism", "artefacts"),
        ),
    ),
    "network": (
        "Networks",
        "The paper's network, the networks that it is compared with, what is inside them, and checkpoints.",
        ("dmagnet", "networks", "baselines", "hierarchy", "depthwise", "anatomy", "checkpoint"),
    ),
    "training": (
        "Training",
        "Recipes, the training itself, its keeping, and experiments made of many trainings.",
        ("recipes", "train", "keeping", "guards", "hardware", "comparison", "trials"),
    ),
    "evaluation": (
        "Evaluation",
        "From a checkpoint and a split to one table of predictions, and from it to scores with intervals.",
        ("evaluate", "statistics", "breakdown"),
    ),
    "dreams": (
        "Dreams",
        "From network, image and objective to an image, with the record of how it was made.",
        (
            *("dream.dreaming", "dream.objectives", "dream.settings", "dream.ascent", "dream.forward"),
            *("dream.frozen", "dream.images", "dream.prior", "dream.scores", "dream.record", "dream.reading"),
            *("dream.film", "dream.gallery", "dream.command", "dream.session", "dream.controls", "widgets"),
        ),
    ),
    "votes": (
        "Votes",
        "The Galaxy Zoo 2 decision tree, its data, its networks, and the bridge to the ten classes.",
        ("zoo2", "voting", "vote_split", "vote_checkpoint", "standin", "bridge"),
    ),
    "ledger": (
        "Ledger",
        "The claims of the source documents, what this book computes for each, and the verdict.",
        ("claims", "claim_sources", "claim_checks", "ledger", "ledger_page"),
    ),
    "web": (
        "In the browser",
        "A network's gradient with respect to its image as an ONNX graph, for dreaming without Python.",
        ("web.export", "web.trace", "web.store", "web.tape"),
    ),
    "tools": (
        "Tools",
        "What all parts share: reports, figures, files, errors, provenance and the command line.",
        ("report", "figures", "files", "errors", "provenance", "cli"),
    ),
}


def add_appendix(results: Path, folder: Path, *, repository: str) -> None:
    """Write the generated pages, and the chapters' boxes, into a stage.

    Args:
        results: The run's folder, with its manifest.
        folder: The stage, with `_config.yml` and the executed chapters in `book/`.
        repository: Address of the repository on the web, or nothing; then `_config.yml` decides.

    Raises:
        GalaxyError: the run has no manifest, or the address is none that buttons can lead to.
    """
    branch, repository = point_to_repository(folder / "_config.yml", repository)
    for chapter in sorted((folder / "book").glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(chapter, as_version=4)
        add_rerun(notebook, repository=repository, branch=branch)
        nbformat.write(notebook, chapter)
    (folder / "book" / "made.md").write_text(page(read(results)), encoding="utf-8")
    (folder / "extra").mkdir(exist_ok=True)
    shutil.copy(results / MANIFEST, folder / "extra")
    (folder / "book" / "_packages.md").write_text(tables(), encoding="utf-8")
    reference = folder / "book" / "api"
    reference.mkdir()
    for name, text in reference_pages().items():
        (reference / f"{name}.md").write_text(text, encoding="utf-8")


def point_to_repository(config: Path, repository: str) -> tuple[str, str]:
    """Let launch buttons for Binder and Colab lead to a repository; without one there are none.

    Args:
        config: The stage's `_config.yml`; changed.
        repository: Address of the repository on the web; where empty, the configuration's own counts.

    Returns:
        The branch and the address that count.

    Raises:
        GalaxyError: the address is not that of a repository.
    """
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    place = content.setdefault("repository", {})
    place["url"] = (repository or place.get("url") or "").rstrip("/").removesuffix(".git")
    branch = place.setdefault("branch", "main")
    if place["url"]:
        if not re.fullmatch(r"https://[\w.-]+(/[\w.-]+){2,}", place["url"]):
            raise GalaxyError(
                f"{place['url']} is not the address of a repository: give one like https://github.com/owner/name."
            )
        buttons = {"notebook_interface": "jupyterlab", "binderhub_url": "https://mybinder.org"}
        if place["url"].startswith("https://github.com/"):  # the only host that Colab opens
            buttons["colab_url"] = "https://colab.research.google.com"
        # Not Jupyter Book's own keys: `sphinx.config` replaces all theme options that it makes of them.
        content["sphinx"]["config"]["html_theme_options"] |= {
            "repository_url": place["url"],
            "repository_branch": branch,
            "use_repository_button": True,
            "launch_buttons": buttons,
        }
    config.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return branch, place["url"]


def reference_pages() -> dict[str, str]:
    """Write the API reference: page name -> MyST Markdown, whose content Sphinx takes from the docstrings."""
    lines = [f"- {{doc}}`{name}`: {about}" for name, (_, about, _) in REFERENCE.items()]
    pages = {
        "index": "# API reference\n\nWhat `galaxylib` offers, from the docstrings of its code.\n\n"
        + "\n".join(lines)
        + "\n"
    }
    for name, (title, about, modules) in REFERENCE.items():
        parts = [f"# {title}\n\n{about}"]
        parts += [
            f"## galaxylib.{module}\n\n```{{eval-rst}}\n"
            f".. automodule:: galaxylib.{module}\n   :members:\n   :ignore-module-all:\n```"
            for module in modules
        ]
        pages[name] = "\n\n".join(parts) + "\n"
    return pages
