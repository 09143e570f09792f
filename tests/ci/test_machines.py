"""Paths with any character, and machines that are not as this one: what `make` and `ci` do there."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

from ci import drop_foreign_packages, settle_without_home
from ci.book import check_link, main, point_to
from ci.parameters import run_name, typed
from galaxylib.provenance import commit, machine, threads
from galaxylib.votes.zoo2 import SOLUTIONS

ODD = [
    "my galaxies (1)",
    "it's",
    'a "b"',
    "a{b}",
    "set #1",
    "a & b; $(echo no) `id` $HOME",
    "galaxías ✨",
    "~x",
    "a%b\\c",
]
odd = pytest.mark.parametrize("name", ODD)


def said_by_make(tmp_path: Path, *words: str) -> list[str]:
    """The arguments that a target of the Makefile hands to Python, by a .venv that only writes them down."""
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text(encoding="utf-8"), encoding="utf-8")
    for name in ("requirements.lock", "pyproject.toml", "ci/setup.py", ".venv/bin/python", ".venv/ready"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\0" "PYTHONPATH=${PYTHONPATH-none}" "$@" >>said\n')
    python.chmod(0o755)
    environment = os.environ | {"PYTHONPATH": "/of/another/python"}
    subprocess.run(["make", *words], cwd=tmp_path, env=environment, check=True, capture_output=True)
    return (tmp_path / "said").read_text(encoding="utf-8").split("\0")


@odd
def test_make_hands_paths_on_as_they_are(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    said = said_by_make(folder, "why", f"DATA={name}.h5", f"REAL_SAMPLE=../{name}", f"VOTES={name}/votes")
    assert {f"--data={name}.h5", f"--real-sample=../{name}", f"--votes={name}/votes", "PYTHONPATH=none"} <= {
        *said
    }
    said = said_by_make(folder, "verify", f"AGAINST={name}/run")
    assert f"--against={name}/run" in said


def planned(setting: str, target: str) -> str:
    """What Snakemake would run for a file of the smoke book, even beside a build that is at work."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--printshellcmds", "--nolock", "--cores", "1"]
    command += ["--rerun-incomplete", "--config", "profile=smoke", setting, "--", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a{b}", 'my it\'s "set" #1 (2) & `id`; $HOME ✨'])
def test_the_graph_takes_the_file(tmp_path: Path, name: str) -> None:
    """Snakemake's dry run of one chapter, whose command is then split by a shell."""
    data = tmp_path / f"{name}.h5"
    data.touch()
    results = f"_build/results/{run_name('smoke', str(data))}"
    said = planned(f"data={data}", f"{results}/02_architecture.json")
    (line,) = re.findall(r"python -m (ci\.execute book/02.*)", said)
    words = subprocess.run(["sh", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True)
    _, chapter, _, values, _, out, _ = words.stdout.split("\0")
    assert chapter == "book/02_architecture.py"
    assert json.loads(values)["data"] == str(data)
    assert out == f"{results}/notebooks/02_architecture.ipynb"


@pytest.mark.slow
def test_the_graph_takes_a_folder_of_votes(tmp_path: Path) -> None:
    """The chapter on votes gets it and runs again when its table changes; no other chapter hears of it."""
    (tmp_path / SOLUTIONS).touch()
    said = planned(f"votes={tmp_path}", "_build/results/smoke/08_ledger.json")
    # Where the chapter's results are newer than the table, Snakemake quotes the new values in its reason too.
    told = re.findall(rf'python -m ci\.execute (\S+) .*"votes": "{tmp_path}"', said)
    assert told == ["book/07_votes.py"]
    assert f"{tmp_path / SOLUTIONS}" in said


def test_a_folder_without_votes_is_refused_before_any_chapter(tmp_path: Path, capsys) -> None:
    assert main(["--profile", "smoke", "--votes", str(tmp_path), "--why"]) == 1
    assert f"{tmp_path / SOLUTIONS}" in capsys.readouterr().err


def test_paths_are_read_as_they_were_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    words = ["snakemake", "--config", "data=a #1.h5", "real_sample=~/007", "profile=x", "out='b c'", "data"]
    assert typed(words) == {"data": "a #1.h5", "real_sample": f"{tmp_path}/007", "out": "b c"}
    assert typed(["data=", "data=null"]) == {"data": "null"}


@odd
def test_folders_of_results_have_plain_names(name: str) -> None:
    assert re.fullmatch(r"smoke-[\w.-]+", run_name("smoke", f"/data/{name}.h5"))


def test_the_home_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["--data", "~/none.h5", "--why"]) == 1
    assert f"There is no file {tmp_path}/none.h5" in capsys.readouterr().err


@odd
def test_kernels_start_in_the_root_whatever_its_name(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    (root / "book").mkdir(parents=True)
    (root / "postBuild").write_bytes((ROOT / "postBuild").read_bytes())
    subprocess.run(
        ["sh", root / "postBuild"],
        env={"IPYTHONDIR": str(tmp_path / "ipython"), "PATH": os.environ["PATH"]},
        check=True,
    )
    startup = tmp_path / "ipython" / "profile_default" / "startup" / "00-book.py"
    before = Path.cwd()
    try:
        runpy.run_path(str(startup))
        assert Path.cwd() == root.resolve()
    finally:
        os.chdir(before)


@pytest.mark.parametrize(
    ("given", "granted"),
    [("4", 4), ("4,2", 4), (" 3 , 1", 3), ("", None), (",", None), ("0", None), ("all", None)],
)
def test_threads_are_those_of_the_outermost_level(
    monkeypatch: pytest.MonkeyPatch, given: str, granted: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert threads() == machine()["threads"] == granted


def test_packages_of_another_python_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign, own = tmp_path / "other", tmp_path / "mine"
    (foreign / "yaml").mkdir(parents=True)
    (foreign / "yaml" / "__init__.py").write_text("raise SystemError('yaml of another Python')")
    own.mkdir()
    (own / "mynets.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (foreign, own, ROOT))))
    monkeypatch.setattr(sys, "path", [*map(str, (foreign, own, ROOT)), *sys.path])
    drop_foreign_packages()
    assert os.environ["PYTHONPATH"] == os.pathsep.join(map(str, (own, ROOT)))
    assert str(foreign) not in sys.path
    assert str(own) in sys.path
    environment = os.environ | {"PYTHONPATH": str(foreign)}
    command = [sys.executable, "-m", "ci.book", "--profile", "none"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert "There is no profile 'none'" in done.stderr


def test_without_a_home_caches_are_kept_in_the_build_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "npm_config_cache"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IPYTHONDIR", "/mine")
    settle_without_home()
    assert "XDG_CACHE_HOME" not in os.environ
    monkeypatch.setenv("HOME", "/proc/nohome")
    settle_without_home()
    assert os.environ["XDG_CACHE_HOME"] == str(ROOT / "_build" / "home" / "XDG_CACHE_HOME")
    assert os.environ["IPYTHONDIR"] == "/mine"
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "npm_config_cache"):
        monkeypatch.delenv(name)


def test_pages_are_copied_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        (tmp_path / run / "index.html").write_text(run)
    link = tmp_path / "html"
    point_to(tmp_path / "first", link)
    assert link.is_symlink()

    def refuse(*_: object, **__: object) -> None:
        raise OSError("A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    for run in ("second", "first"):
        point_to(tmp_path / run, link)
        assert not link.is_symlink()
        assert (link / "index.html").read_text() == run
        check_link(link)
        assert (tmp_path / run / "index.html").read_text() == run


def test_a_checkout_that_git_distrusts_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\necho 'fatal: detected dubious ownership in repository' >&2\nexit 128\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert commit(ROOT) is None


@pytest.mark.parametrize(
    ("system", "processor", "sentence"),
    [
        ("win32", "AMD64", "on Windows, set the book up inside WSL"),
        ("darwin", "x86_64", "an Intel Mac is not supported"),
        ("darwin", "arm64", "This is macOS 13.6, and the wheels of PyTorch need 14 or later"),
    ],
)
def test_setup_says_which_machines_are_not_supported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, system: str, processor: str, sentence: str
) -> None:
    setup = runpy.run_path(str(ROOT / "ci" / "setup.py"))
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("platform.machine", lambda: processor)
    monkeypatch.setattr("platform.mac_ver", lambda: ("13.6", ("", "", ""), processor))
    with pytest.raises(SystemExit):
        setup["main"](".venv")
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_setup_leaves_cuda_out_where_the_reader_asks_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    locked = runpy.run_path(str(ROOT / "ci" / "setup.py"))["locked"]
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("UV_TORCH_BACKEND", raising=False)
    assert locked(str(tmp_path)) == "requirements.lock"
    monkeypatch.setenv("UV_TORCH_BACKEND", "cpu")
    whole = Path("requirements.lock").read_text().splitlines()
    reduced = Path(locked(str(tmp_path))).read_text().splitlines()
    left_out = {line.split("==")[0] for line in whole} - {line.split("==")[0] for line in reduced}
    # What torch's own metadata ask for on Linux and its builds without CUDA do not.
    needs = {Requirement(need).name for need in requires("torch") or []}
    cuda = {name for name in needs if name.startswith(("nvidia-", "cuda-", "triton"))}
    assert cuda <= left_out
    assert not left_out & {"torch", "torchvision", "numpy"}
    assert [line for line in whole if line in reduced] == reduced


@pytest.mark.parametrize(("backend", "size"), [("", 7), ("cpu", 3), ("cu130", 7)])
def test_setup_says_what_torchs_build_takes_and_remembers_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path, backend: str, size: int
) -> None:
    """A later lock installs again without the variable, and must not bring CUDA back."""
    setup = runpy.run_path(str(ROOT / "ci" / "setup.py"))
    said, commands = [], []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "platform", "linux")
    for program in ("call", "run"):
        monkeypatch.setattr(subprocess, program, lambda command, **_: commands.append(command))
    monkeypatch.setenv("UV_TORCH_BACKEND", backend)
    for _ in range(2):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=(size + 1) * 1e9))
        setup["main"](str(tmp_path))
        assert os.environ.get("UV_TORCH_BACKEND", "") == backend
        monkeypatch.delenv("UV_TORCH_BACKEND", raising=False)
        said.append(capsys.readouterr().out)
    assert all(f"packages, {size} GB once unpacked" in text for text in said)
    assert "as the last time" not in said[0]
    assert (f"UV_TORCH_BACKEND is {backend} as the last time" in said[1]) == bool(backend)
    synced = [command[-1] for command in commands if "sync" in command]
    assert len(synced) == 2
    assert all((lock == "requirements.lock") == (backend != "cpu") for lock in synced)
    monkeypatch.setenv("UV_TORCH_BACKEND", backend)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=(size + 0.9) * 1e9))
    with pytest.raises(SystemExit):
        setup["main"](str(tmp_path))
    assert f"the packages need {size + 1} GB" in capsys.readouterr().err


def test_another_build_of_torch_is_a_reason_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_TORCH_BACKEND", raising=False)
    (tmp_path / "none").mkdir()
    assert "ci/setup.py" not in said_by_make(tmp_path / "none", "why")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "torch-backend").write_text("cpu\n")
    for backend, again in (("cpu", False), ("auto", True)):
        monkeypatch.setenv("UV_TORCH_BACKEND", backend)
        said = said_by_make(tmp_path, "why", f"PYTHON={tmp_path}/.venv/bin/python")
        assert ("ci/setup.py" in said) == again


@pytest.mark.parametrize(
    ("system", "processor", "there"),
    [
        ("linux", "x86_64", True),
        ("darwin", "arm64", True),
        ("linux", "aarch64", False),
        ("win32", "AMD64", False),
    ],
)
def test_the_lock_wants_galsim_only_where_it_has_wheels(system: str, processor: str, there: bool) -> None:
    pins = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines()]
    place = {
        "sys_platform": system,
        "platform_machine": processor,
        "os_name": "nt" if system == "win32" else "posix",
    }
    wanted = {pin.name for pin in pins if pin.marker is None or pin.marker.evaluate(place)}
    assert ("galsim" in wanted) == there
    assert {"torch", "onnxruntime", "av", "h5py"} <= wanted


def test_without_galsim_one_sentence_says_so() -> None:
    code = "import sys; sys.modules['galsim'] = None; from galaxylib.cli import main; sys.exit(main())"
    words = ["simulate", "--n", "1", "--out", "x.h5"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("galaxylib: Galaxies are drawn with GalSim, which is not installed")
    assert done.stderr.count("\n") == 1


def test_text_has_the_same_line_ends_everywhere() -> None:
    done = subprocess.run(
        ["git", "check-attr", "text", "eol", "--", "postBuild", "Makefile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("this is no git checkout")
    assert re.findall(r"(text|eol): (\w+)", done.stdout) == [("text", "auto"), ("eol", "lf")] * 2
