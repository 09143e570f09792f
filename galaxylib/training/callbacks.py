"""What a training run keeps and shows: best weights, state to resume from, history, progress."""

import io
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import nn
from tqdm import tqdm

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import CheckpointError, GalaxyError
from galaxylib.files import atomic
from galaxylib.networks.checkpoint import WEIGHTS, load, save
from galaxylib.networks.schemas import RECIPE, TEXT, check, read_json, real, record, several, strict, whole
from galaxylib.provenance import provenance
from galaxylib.training.recipes import Recipe

LAST, HISTORY = "last.ckpt", "history.csv"

_MEASURED = {f"{part}_{what}" for part in ("train", "validation") for what in ("loss", "accuracy")}
_EPOCH = strict(
    round=whole(1, 2),
    epoch=whole(1),
    **dict.fromkeys(("learning_rate", "images_per_second", "core_seconds", "seconds"), real(0)),
    **dict.fromkeys((*sorted(_MEASURED), "validation_macro_f1"), real(0)),
)
STATE = strict(
    state_dict=record(),
    optimizer_states=several(strict(state=record(), param_groups=several(record(), 1)), 1, 1),
    lr_schedulers=several(record(), 1, 1),
    loops=strict(fit_loop=record()),
    epoch=whole(0),
    global_step=whole(0),
    callbacks=strict(
        Keeper=strict(
            round=whole(1, 2),
            history=several(_EPOCH, 1),
            facts=strict(recipe=RECIPE, data=TEXT, split=TEXT),
        )
    ),
)
"""`last.ckpt`: what this module and Lightning read of it."""


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


def read_last(out: Path, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The keeper's state in `last.ckpt`; None where nothing was begun.

    Raises:
        CheckpointError: the file is damaged, or the run had another recipe, other data or another split.
    """
    path = out / LAST
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        state = content["callbacks"]["Keeper"]
        begun = state["facts"]
        plain = read_json(json.dumps(state))
    except Exception as fault:  # torch.load raises many kinds for a damaged file
        raise CheckpointError(
            f"{path} is damaged or no training state ({type(fault).__name__}): start again without resuming."
        ) from fault
    check(content | {"callbacks": {"Keeper": plain}}, STATE, where=path, cure="start again without resuming")
    if begun != facts:
        recipes = begun["recipe"], facts["recipe"]
        odd = [key for key in recipes[1] if recipes[0].get(key) != recipes[1][key]]
        what = (
            f"{odd[0]} was {recipes[0].get(odd[0])!r} and is {recipes[1][odd[0]]!r} now"
            if odd
            else "it used other data or another split"
        )
        raise CheckpointError(
            f"The run in {out} cannot be resumed: {what}; use the former setting, or start again without "
            "resuming."
        )
    return state


class Keeper(L.Callback):
    """Keeps the best weights by validation loss, the history and the state to resume from, epoch by epoch."""

    state_key = "Keeper"

    def __init__(
        self,
        out: Path,
        *,
        recipe: Recipe,
        facts: Mapping[str, Any],
        data: Galaxy10,
        images: int,
        precision: str,
    ) -> None:
        self.out, self.recipe, self.facts, self.images, self.precision = out, recipe, facts, images, precision
        self.about_data = {
            "fingerprint": data.fingerprint,
            "galaxies": len(data),
            "simulated": data.simulated,
        }
        self.round, self.has_aside = 1, False
        self.history: list[dict[str, Any]] = []
        self.clock = self.cores = self.rate = 0.0
        self.trained = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What resuming needs to know, in plain values."""
        return {"round": self.round, "history": self.history, "facts": dict(self.facts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.round, self.history = state["round"], list(state["history"])
        self.has_aside = (first_round(self.out) / WEIGHTS).exists()

    @property
    def best(self) -> dict[str, Any]:
        """The epoch with the lowest validation loss."""
        return min(self.history, key=lambda epoch: epoch["validation_loss"])

    def round_is_over(self) -> bool:
        """All epochs of the round are done, or patience is at its end."""
        done = [epoch for epoch in self.history if epoch["round"] == self.round]
        epochs = self.recipe.epochs if self.round == 1 else self.recipe.more_epochs
        return len(done) >= epochs or self.is_stale(done)

    def is_stale(self, done: list[dict[str, Any]]) -> bool:
        """No better validation loss in this round for `patience` epochs."""
        if not self.recipe.patience or not done:
            return False
        losses = [epoch["validation_loss"] for epoch in done]
        return len(losses) - 1 - losses.index(min(losses)) >= self.recipe.patience

    def begin_second_round(self, network: nn.Module, *, rank: int) -> None:
        """Put the first round's best weights into `network`, and keep them aside.

        They stay in a folder of their own, so that a second round that is cut short starts from them again.
        """
        self.round = 2
        aside = first_round(self.out)
        best = load(aside if self.has_aside else self.out, own_network=self.recipe.network)
        network.load_state_dict(best.network.state_dict())
        if not self.has_aside and rank == 0:
            self._save(network, self.best, aside)

    def on_train_epoch_start(self, trainer: L.Trainer, run: L.LightningModule) -> None:
        """Start the clocks: the wall's, and the processor's, which other work does not stretch."""
        self.clock, self.cores = time.perf_counter(), time.process_time()

    def on_train_batch_start(
        self, trainer: L.Trainer, run: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the learning rate of this step; after the last one the schedule has run past its end."""
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_validation_start(self, trainer: L.Trainer, run: L.LightningModule) -> None:
        """The epoch's training images are done."""
        self.trained = time.perf_counter() - self.clock
        self.cores = time.process_time() - self.cores

    def on_train_epoch_end(self, trainer: L.Trainer, run: Any) -> None:
        """Write the epoch down.

        Raises:
            GalaxyError: the validation loss is not a number, or the disk is full.
        """
        number = run.epoch + 1
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if values["validation_loss"] != values["validation_loss"]:
            raise GalaxyError(
                f"The validation loss stopped being a number in epoch {number}: lower the learning "
                "rate (or train in float32); the last good checkpoint is kept."
            )
        self.history.append(
            {
                "round": self.round,
                "epoch": number,
                "learning_rate": self.rate,
                **values,
                "images_per_second": self.images / self.trained,
                "core_seconds": self.cores,
                "seconds": time.perf_counter() - self.clock,
            }
        )
        if self.best is self.history[-1] and trainer.is_global_zero:
            self._save(run.network, self.best, self.out)
        if self.is_stale([epoch for epoch in self.history if epoch["round"] == self.round]):
            trainer.should_stop = True
        trainer.save_checkpoint(self.out / LAST)
        if trainer.is_global_zero:
            with atomic(self.out / HISTORY) as partial:
                pd.DataFrame(self.history).to_csv(partial, index=False)

    def summary(self, network: nn.Module) -> dict[str, Any]:
        """What `train` returns."""
        best = self.best
        return {
            "history": self.history,
            "best_epoch": best["epoch"],
            **{f"validation_{name}": best[f"validation_{name}"] for name in ("loss", "accuracy", "macro_f1")},
            # The first epoch also warms caches up.
            "images_per_second": max(epoch["images_per_second"] for epoch in self.history),
            "seconds": sum(epoch["seconds"] for epoch in self.history),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "precision": self.precision,
            "checkpoint": str(self.out),
        }

    def _save(self, network: nn.Module, epoch: dict[str, Any], folder: Path) -> None:
        save(
            folder,
            network,
            name=self.recipe.network,
            options=self.recipe.options(),
            preprocess=Preprocess(size=self.recipe.size, crop=self.recipe.crop),
            class_names=CLASS_NAMES,
            recipe=self.recipe.to_dict(),
            data=self.about_data,
            split=self.facts["split"],
            precision=self.precision,
            best=epoch,
            **provenance(),
        )


class Progress(L.Callback):
    """Images a second, time left and the figures so far: a bar on a terminal, a line an epoch elsewhere."""

    def __init__(self, keeper: Keeper, *, total: int) -> None:
        self.keeper, self.total = keeper, total
        self.bar: tqdm | None = None

    def on_train_start(self, trainer: L.Trainer, run: Any) -> None:
        """Open the bar, where somebody watches."""
        if trainer.is_global_zero and sys.stderr.isatty():
            images = self.keeper.images
            done = run.epoch * images
            self.bar = tqdm(
                total=self.total * images, initial=done, unit="image", desc="training", smoothing=0.05
            )

    def on_train_batch_end(
        self, trainer: L.Trainer, run: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance by this step's images, those of the other processes too."""
        if self.bar is not None:
            self.bar.update(len(batch[1]) * trainer.world_size)

    def on_train_epoch_end(self, trainer: L.Trainer, run: Any) -> None:
        """Tell the epoch's figures."""
        if not trainer.is_global_zero:
            return
        epoch = self.keeper.history[-1]
        figures = (
            f"loss {epoch['train_loss']:.3f}, validation {epoch['validation_loss']:.3f}, "
            f"accuracy {epoch['validation_accuracy']:.1%}"
        )
        if self.bar is not None:
            self.bar.set_postfix_str(figures)
            return
        recent = self.keeper.history[-5:]
        left = (self.total - epoch["epoch"]) * sum(entry["seconds"] for entry in recent) / len(recent)
        print(
            f"epoch {epoch['epoch']}/{self.total}: {figures}, {epoch['images_per_second']:.0f} images/s, "
            f"{int(left) // 60}:{int(left) % 60:02d} left",
            flush=True,
        )

    def on_train_end(self, trainer: L.Trainer, run: Any) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def on_exception(self, trainer: L.Trainer, run: Any, exception: BaseException) -> None:
        """Close the bar."""
        self.on_train_end(trainer, run)
