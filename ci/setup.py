"""Make `.venv` from the lock: `make` calls this with whatever Python it finds, once for each lock.

Written for any Python 3, so that one which is too old can say so.
"""

import os
import platform
import shutil
import subprocess
import sys

UV = "uv==0.13.8"
NEEDED = 8e9  # bytes: the packages, most of it torch, and room to unpack them


def stop(sentence: str) -> None:
    """Print one sentence and leave."""
    sys.stderr.write(sentence + "\n")
    sys.exit(1)


def run(*command: str) -> None:
    """Run a command, or stop with a sentence."""
    if subprocess.call(command):
        stop("Setting up .venv failed at `{}`; what it said is above.".format(" ".join(command)))


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
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(os.path.join(folder, "bin", "pip")):
        free = shutil.disk_usage(".").free
        if free < NEEDED:
            stop(
                f"The disk has {free / 1e9:.1f} GB free and the packages need {NEEDED / 1e9:.0f} GB: "
                "free some and run again."
            )
        print("Creating", folder, "with Python", sys.version.split()[0], flush=True)
        if subprocess.call([sys.executable, "-m", "venv", "--clear", folder]):
            stop(
                "This Python cannot make environments: install its venv package "
                "(on Debian and Ubuntu: `apt install python3-venv`) and run again."
            )
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)
    uv = os.path.join(folder, "bin", "uv")
    lock = locked(folder)
    with open(lock) as lines:
        count = len([line for line in lines if "==" in line])
    print("Installing at most", count, "packages, 7 GB once unpacked. What uv does not have in its cache is")
    print("downloaded; a large one is named with its size as it begins.", flush=True)
    run(uv, "pip", "sync", "--python", python, "--compile-bytecode", lock)
    run(uv, "pip", "install", "--python", python, "--no-deps", "--editable", ".")


if __name__ == "__main__":
    main(sys.argv[1])
