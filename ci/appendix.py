"""Pages written by code: how the book was made, licences, the API; and where its repository is."""

import ast
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml

from ci.diff import RELEASE, section
from ci.licences import tables
from ci.manifest import MANIFEST, page, read
from ci.origins import add_origins
from ci.rerun import add_rerun
from galaxylib.errors import GalaxyError

LIBRARY = Path(__file__).resolve().parents[1] / "galaxylib"
ROOMS = (
    "data",
    "networks",
    "training",
    "evaluation",
    "simulate",
    "votes",
    "catalogue",
    "dream",
    "web",
    "paper",
)
"""The packages of the library in reading order; each has a page, and so has what lies beside them."""


@dataclass(frozen=True)
class Room:
    """A page of the API reference: one package.

    Attributes:
        title: what its docstring says before the first colon.
        about: the rest of the docstring.
        modules: dotted names below `galaxylib`, sorted.
    """

    title: str
    about: str
    modules: tuple[str, ...]

    @classmethod
    def read(cls, name: str) -> "Room":
        """Read a package of the library, or with an empty name the library's own modules."""
        folder = LIBRARY / name
        told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
        title, _, about = told.partition(": ")
        modules = sorted(path.stem for path in folder.glob("[a-z]*.py"))
        return cls(title, about, tuple(f"{name}.{module}".lstrip(".") for module in modules))


def reference() -> dict[str, Room]:
    """The pages of the API reference by name."""
    return {name: Room.read(name) for name in ROOMS} | {"galaxylib": Room.read("")}


def add_appendix(results: Path, folder: Path, *, repository: str, release: Path = RELEASE) -> str:
    """Write the generated pages, and the chapters' boxes, into a stage.

    Args:
        results: the run's folder, with its manifest.
        folder: the stage, with `_config.yml` and the executed chapters in `book/`.
        repository: address of the repository on the web, or nothing; then `_config.yml` decides.
        release: folder with the results of the last release, which the run is compared with; it need not be
            there.

    Returns:
        the address of the repository that counts.

    Raises:
        GalaxyError: the run has no manifest, the address is none that buttons can lead to, or the release's
            results are damaged.
    """
    branch, repository = point_to_repository(folder / "_config.yml", repository)
    for chapter in sorted((folder / "book").glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(chapter, as_version=4)
        source = LIBRARY.parent / "book" / f"{chapter.stem}.py"
        add_origins(notebook, source, repository=repository)
        add_rerun(notebook, repository=repository, branch=branch)
        nbformat.write(notebook, chapter)
    made = f"{page(read(results))}\n## What changed since the last release\n\n{section(results, release)}"
    (folder / "book" / "made.md").write_text(made, encoding="utf-8")
    (folder / "extra").mkdir(exist_ok=True)
    shutil.copy(results / MANIFEST, folder / "extra")
    (folder / "book" / "_packages.md").write_text(tables(), encoding="utf-8")
    reference = folder / "book" / "api"
    reference.mkdir()
    for name, text in reference_pages().items():
        (reference / f"{name}.md").write_text(text, encoding="utf-8")
    return repository


def point_to_repository(config: Path, repository: str) -> tuple[str, str]:
    """Let launch buttons for Binder and Colab lead to a repository; without one there are none.

    Args:
        config: the stage's `_config.yml`; changed.
        repository: address of the repository on the web; where empty, the configuration's own counts.

    Returns:
        the branch and the address that count.

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
    rooms = reference()
    lines = [f"- {{doc}}`{name}`: {room.about.partition('.')[0]}." for name, room in rooms.items()]
    pages = {
        "index": "# API reference\n\nWhat `galaxylib` offers, from the docstrings of its code.\n\n"
        + "\n".join(lines)
        + "\n"
    }
    for name, room in rooms.items():
        # A docstring is reStructuredText: what it shows of Python must not become Markdown's quotation.
        parts = [f"# {room.title}\n\n```{{eval-rst}}\n{room.about}\n```"]
        parts += [
            f"## galaxylib.{module}\n\n```{{eval-rst}}\n"
            f".. automodule:: galaxylib.{module}\n   :members:\n   :ignore-module-all:\n```"
            for module in room.modules
        ]
        pages[name] = "\n\n".join(parts) + "\n"
    return pages
