"""The state of a training run on disk: what resuming needs, written whole, and checked before it is used."""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from galaxylib.data.splits import SPLIT
from galaxylib.errors import CheckpointError, GalaxyError, is_lack_of_memory
from galaxylib.files import atomic
from galaxylib.networks.checkpoint import DESCRIPTION, REFERENCE, WEIGHTS, describe
from galaxylib.networks.schemas import TEXT, Schema, check, read_json, real, record, several, strict, whole
from galaxylib.training.recipes import CHOICES, Recipe

LAST, HISTORY = "last.ckpt", "history.csv"
CURE = "train into another folder"
FACTS = {
    "data": "other data",
    "split_fingerprint": "another split",
    "task": "another task",
    "companions": "other images of other surveys",
    "start": "other first weights",
}
"""What a resumed run must have had besides the recipe, and how another is called."""


def _recipe() -> Schema:
    """The settings of `Recipe` in their ranges."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object"}
    settings: dict[str, Schema] = {}
    for setting in fields(Recipe):
        limits = setting.metadata["range"]
        given = {"minimum": limits.low, "maximum": limits.high} if limits else {}
        settings[setting.name] = {"type": kinds[setting.type]} | given
        if setting.name in CHOICES:
            settings[setting.name]["enum"] = list(CHOICES[setting.name])
    return record(**settings)


_EPOCH = strict(
    round=whole(1, 2),
    epoch=whole(1),
    **dict.fromkeys(("learning_rate", "images_per_second", "core_seconds", "seconds", "train_loss"), real(0)),
) | {"additionalProperties": real(0)}
STATE = strict(
    state_dict=record(),
    optimizer_states=several(strict(state=record(), param_groups=several(record(), 1)), 1, 1),
    lr_schedulers=several(record(), 0, 1),
    loops=strict(fit_loop=record()),
    epoch=whole(0),
    global_step=whole(0),
    callbacks=strict(
        Keeper=strict(
            round=whole(1, 2),
            history=several(_EPOCH, 1),
            facts=strict(task=record(), recipe=_recipe(), data=record(), split_fingerprint=TEXT)
            | {"additionalProperties": record()},
        )
    ),
)
"""`last.ckpt`: what this library and Lightning read of it."""


def first_round(out: Path) -> Path:
    """Where the best weights of the first round stay once the second has begun."""
    return out / "first_round"


class AtomicCheckpoints(TorchCheckpointIO):
    """Lightning's state files, written whole or not at all, and read without executing anything."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Serialise in memory first: a full disk then meets Python's own writing, which says so plainly."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with atomic(path) as partial:
            partial.write_bytes(buffer.getbuffer())

    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        """Plain tensors and numbers only."""
        return torch.load(path, map_location="cpu", weights_only=True)


def read_run(out: Path, facts: Mapping[str, Any], *, resume: bool) -> dict[str, Any] | None:
    """The state of the run in `out` to go on from; None where no epoch is finished.

    Args:
        out: the run's folder.
        facts: the recipe, data and split that the run must have had, as its checkpoint describes them.
        resume: whether to go on with a run; otherwise there must be none.

    Raises:
        CheckpointError: there is a run and `resume` is False, or it cannot be resumed: it is damaged, or had
            another recipe, other data or another split.
    """
    path, found = out / LAST, [name for name in (LAST, DESCRIPTION) if (out / name).exists()]
    if not found:
        return None
    if not resume:
        raise CheckpointError(
            f"{out} holds a run already: go on with it (`--resume`, in Python `resume=True`), or choose "
            "another folder."
        )
    kept = describe(out)
    if LAST not in found:
        best = kept.get("best")
        first = isinstance(best, dict) and best.get("epoch") == 1
        if first and _told(kept) == _told(facts):
            return None  # cut in its first epoch, after the weights were kept: these come out the same again
        raise CheckpointError(f"The run in {out} has no {LAST} to go on from: choose another folder.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        state = content["callbacks"]["Keeper"]
        plain = read_json(json.dumps(state))
    except Exception as fault:  # torch.load raises many kinds for a damaged file
        raise _damaged(path, fault) from fault
    check(content | {"callbacks": {"Keeper": plain}}, STATE, where=path, cure=CURE)
    if len(content["lr_schedulers"]) != int(facts["recipe"]["schedule"] != "constant"):
        raise _damaged(path, ValueError("lr_schedulers"))
    begun, wanted = _told(state["facts"]), _told(facts)
    if begun != wanted:
        was, now = begun["recipe"], wanted["recipe"]
        odd = [key for key in now if was.get(key) != now[key]]
        other = next((words for key, words in FACTS.items() if begun[key] != wanted[key]), "another recipe")
        what = f"{odd[0]} was {was.get(odd[0])!r} and is {now[odd[0]]!r} now" if odd else f"it used {other}"
        raise CheckpointError(
            f"The run in {out} cannot be resumed: {what}; use the former setting, or train into another "
            "folder."
        )
    return state


def _told(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal in a run and its continuation; of the start, the weights but not the name."""
    told = {key: facts.get(key) for key in ("recipe", *FACTS)}
    return told | {"start": (told["start"] or {}).get("sha256")}


def _damaged(path: Path, fault: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged or no training state of this version ({type(fault).__name__}): {CURE}."
    )


def remove_run(out: Path) -> None:
    """Remove a run, and nothing else, from its folder."""
    # The state goes first: what a cut leaves is a checkpoint, never a run that has lost its weights.
    (out / LAST).unlink(missing_ok=True)
    for folder in (first_round(out), out):
        for name in (DESCRIPTION, WEIGHTS, REFERENCE, HISTORY, SPLIT):
            (folder / name).unlink(missing_ok=True)


@contextmanager
def restoring(keeper: Any) -> Iterator[None]:
    """Turn whatever a spoilt training state leads to before the first step into one sentence.

    Raises:
        CheckpointError: the state is not that of this network and optimiser.
    """
    try:
        yield
    except Exception as fault:  # Lightning raises many kinds
        if keeper.clock or isinstance(fault, GalaxyError) or is_lack_of_memory(fault):
            raise
        raise _damaged(keeper.out / LAST, fault) from fault
