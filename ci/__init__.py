"""Runs the story: parameters, execution of the chapters, what depends on what, and the HTML.

Before anything else is imported, the environment is put right for this process and those that it starts.
"""

import os
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def drop_foreign_packages() -> None:
    """Take folders off PYTHONPATH whose packages would stand before those of the lock.

    Folders with modules of the reader's own stay, and so does the repository.
    """
    installed = {path.name.split(".")[0] for path in Path(sysconfig.get_path("purelib")).iterdir()}
    installed = (installed | sys.stdlib_module_names) - {"__pycache__"}

    def foreign(folder: str) -> bool:
        inside = {path.name.split(".")[0] for path in Path(folder).glob("*")}
        return Path(folder).resolve() != ROOT and bool(inside & installed)

    given = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    dropped = [folder for folder in given if foreign(folder)]
    if dropped:
        os.environ["PYTHONPATH"] = os.pathsep.join(folder for folder in given if folder not in dropped)
        sys.path[:] = [folder for folder in sys.path if folder not in dropped]


def settle_without_home() -> None:
    """Let programs keep their caches and settings in `_build/home` where the home folder takes none."""
    if os.access(Path.home(), os.W_OK):
        return
    home = ROOT / "_build" / "home"
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "IPYTHONDIR", "npm_config_cache"):
        os.environ.setdefault(name, str(home / name))


def leave_addresses_unchecked() -> None:
    """Keep jsonschema, which nbformat imports, from its grammar of addresses in any alphabet.

    Building the grammar takes longer than to import the rest of nbformat, and no notebook's
    schema has such an address in it.
    """
    sys.modules.setdefault("rfc3987_syntax", None)


drop_foreign_packages()
settle_without_home()
leave_addresses_unchecked()
