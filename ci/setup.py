"""Make `.venv` from the lock: `make` calls this with whatever Python it finds, once for each lock.

Written for any Python 3, so that one which is too old can say so.
"""

import os
import platform
import shutil
import subprocess
import sys

UV = "uv==0.13.8"
BACKEND = "torch-backend"  # a file in .venv: what UV_TORCH_BACKEND was when it was last set
WHOLE, REDUCED = 7, 3  # GB of all packages once unpacked: as locked for Linux, and without what CUDA needs


def stop(sentence: str) -> None:
    """Print one sentence and leave."""
    sys.stderr.write(sentence + "\n")
    sys.exit(1)


def run(*command: str) -> None:
    """Run a command, or stop with a sentence."""
    if subprocess.call(command):
        stop("Setting up .venv failed at `{}`; what it said is above.".format(" ".join(command)))


def chosen(folder: str) -> str:
    """Tell which builds of torch are wanted: those named now, else as the last time; "" for the lock's."""
    kept = os.path.join(folder, BACKEND)
    if "UV_TORCH_BACKEND" not in os.environ and os.path.exists(kept):
        with open(kept) as file:
            backend = os.environ["UV_TORCH_BACKEND"] = file.read().strip()
        print(f"UV_TORCH_BACKEND is {backend} as the last time, from {kept}. Set it anew for other builds of")
        print("torch, or remove .venv for those of the lock.", flush=True)
    if not os.environ.get("UV_TORCH_BACKEND"):
        os.environ.pop("UV_TORCH_BACKEND", None)  # uv takes no empty one
    return os.environ.get("UV_TORCH_BACKEND", "")


def remember(folder: str, backend: str) -> None:
    """Keep the choice for a later `make` that installs again, where nobody may think of it."""
    kept = os.path.join(folder, BACKEND)
    if backend:
        with open(kept, "w") as file:
            file.write(backend + "\n")
    elif os.path.exists(kept):
        os.remove(kept)


def locked(folder: str) -> str:
    """Name the file of versions: the lock, without CUDA's libraries where torch is to do without them."""
    if os.environ.get("UV_TORCH_BACKEND") != "cpu":
        return "requirements.lock"
    with open("requirements.lock") as lines:
        kept = [line for line in lines if not line.startswith(("nvidia-", "cuda-", "triton"))]
    reduced = os.path.join(folder, "requirements.lock")
    with open(reduced, "w") as file:
        file.writelines(kept)
    return reduced


def main(folder: str) -> None:
    """Create or update the environment in a folder."""
    if sys.version_info < (3, 11):  # noqa: UP036
        stop(
            "This is Python {}.{} and the book needs 3.11 or later: install one, or name it with "
            "`make book PYTHON=/path/to/python3.11`.".format(*sys.version_info[:2])
        )
    if sys.platform == "win32":
        stop("`make` needs a Unix shell: on Windows, set the book up inside WSL (`wsl --install`).")
    if sys.platform == "darwin" and platform.machine() != "arm64":
        stop(
            "This Python is for Intel Macs, for which PyTorch ends at 2.2, and the book needs 2.11 or later: "
            "on Apple silicon install a Python for arm64; an Intel Mac is not supported."
        )
    if sys.platform == "darwin" and int(platform.mac_ver()[0].split(".")[0]) < 14:
        stop(f"This is macOS {platform.mac_ver()[0]}, and the wheels of PyTorch need 14 or later: update it.")
    if not os.access(os.path.expanduser("~"), os.W_OK):
        os.environ.setdefault("UV_CACHE_DIR", os.path.join(folder, "cache"))
    backend = chosen(folder)
    size = REDUCED if backend == "cpu" or sys.platform != "linux" else WHOLE
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(os.path.join(folder, "bin", "pip")):
        free = shutil.disk_usage(".").free
        if free < (size + 1) * 1e9:  # and room to unpack them
            stop(
                f"The disk has {free / 1e9:.1f} GB free and the packages need {size + 1} GB: "
                "free some and run again."
            )
        print("Creating", folder, "with Python", sys.version.split()[0], flush=True)
        if subprocess.call([sys.executable, "-m", "venv", "--clear", folder]):
            stop(
                "This Python cannot make environments: install its venv package "
                "(on Debian and Ubuntu: `apt install python3-venv`) and run again."
            )
    remember(folder, backend)
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)
    uv = os.path.join(folder, "bin", "uv")
    lock = locked(folder)
    with open(lock) as lines:
        count = len([line for line in lines if "==" in line])
    print(f"Installing at most {count} packages, {size} GB once unpacked. What uv does not have in its cache")
    print("is downloaded; a large one is named with its size as it begins.", flush=True)
    run(uv, "pip", "sync", "--python", python, "--compile-bytecode", lock)
    run(uv, "pip", "install", "--python", python, "--no-deps", "--editable", ".")


if __name__ == "__main__":
    main(sys.argv[1])
