"""What a training run keeps and shows: weights, history, progress."""

import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
from torch import nn
from tqdm import tqdm

from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import GalaxyError
from galaxylib.files import atomic
from galaxylib.networks.checkpoint import DESCRIPTION, load, save
from galaxylib.provenance import provenance
from galaxylib.training.recipes import Recipe
from galaxylib.training.state import HISTORY, LAST, first_round
from galaxylib.training.tasks import Task


class Keeper(L.Callback):
    """Keeps the best or the last weights, the history and the state to resume from, epoch by epoch.

    Lightning's ModelCheckpoint, EarlyStopping and CSVLogger would know neither of the two rounds nor of each
    other: here one state tells all, so that a cut between any two files is mended by resuming.
    """

    state_key = "Keeper"

    def __init__(
        self,
        out: Path,
        *,
        recipe: Recipe,
        task: Task,
        facts: Mapping[str, Any],
        images: int,
        precision: str,
    ) -> None:
        self.out, self.recipe, self.task, self.facts = out, recipe, task, facts
        self.images, self.precision = images, precision
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
        self.has_aside = (first_round(self.out) / DESCRIPTION).exists()

    def figure(self, epoch: Mapping[str, Any]) -> float:
        """What epochs are compared by, the lower the better."""
        value = epoch[f"validation_{self.recipe.best_by}"]
        return value if self.recipe.best_by == "loss" else -value

    @property
    def best(self) -> dict[str, Any]:
        """The epoch whose weights are kept."""
        return self.history[-1] if self.recipe.keep == "last" else min(self.history, key=self.figure)

    def round_is_over(self) -> bool:
        """All epochs of the round are done, or patience is at its end."""
        done = [epoch for epoch in self.history if epoch["round"] == self.round]
        epochs = self.recipe.epochs if self.round == 1 else self.recipe.more_epochs
        return len(done) >= epochs or self.is_stale(done)

    def is_stale(self, done: list[dict[str, Any]]) -> bool:
        """No better validation figure in this round for `patience` epochs."""
        if not self.recipe.patience or not done:
            return False
        figures = [self.figure(epoch) for epoch in done]
        return len(figures) - 1 - figures.index(min(figures)) >= self.recipe.patience

    def begin_second_round(self, network: nn.Module, *, rank: int) -> None:
        """Put the weights that the first round kept into `network`, and keep them aside.

        They stay in a folder of their own, so that a second round that is cut short starts from them again.
        """
        self.round = 2
        aside = first_round(self.out)
        kept = load(aside if self.has_aside else self.out, own_network=self.recipe.network)
        network.load_state_dict(kept.network.state_dict())
        if not self.has_aside and rank == 0:
            self._save(network, self.best, aside)

    def on_train_epoch_start(self, trainer: L.Trainer, run: L.LightningModule) -> None:
        """Start the clocks: the wall's, and the processor's, which other work does not stretch."""
        self.trained, self.clock, self.cores = 0.0, time.perf_counter(), time.process_time()

    def on_train_batch_start(
        self, trainer: L.Trainer, run: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the learning rate of this step; after the last one the schedule has run past its end."""
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_validation_start(self, trainer: L.Trainer, run: L.LightningModule) -> None:
        """Stop the clocks: the epoch's training images are done."""
        self.trained = time.perf_counter() - self.clock
        self.cores = time.process_time() - self.cores

    def on_train_epoch_end(self, trainer: L.Trainer, run: Any) -> None:
        """Write the epoch down.

        Raises:
            GalaxyError: the validation loss is not a number, or the disk is full.
        """
        number = run.epoch + 1
        if not self.trained:
            self.on_validation_start(trainer, run)
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if math.isnan(values.get("validation_loss", 0.0)):
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
        if self.best is self.history[-1]:
            network = run.to_keep(final=self.round_is_over())  # by every process: they may share statistics
            if trainer.is_global_zero:
                self._save(network, self.best, self.out)
        if self.is_stale([epoch for epoch in self.history if epoch["round"] == self.round]):
            trainer.should_stop = True
        if trainer.is_global_zero:
            with atomic(self.out / HISTORY) as partial:
                pd.DataFrame(self.history).to_csv(partial, index=False)
        # The state comes last: whatever a run is resumed from is there whole.
        trainer.save_checkpoint(self.out / LAST)

    def summary(self, network: nn.Module) -> dict[str, Any]:
        """What `train` returns."""
        best = self.best
        return {
            "history": self.history,
            "best_epoch": best["epoch"],
            **{name: value for name, value in best.items() if name.startswith("validation_")},
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
            options=self.recipe.network_options() | {"classes": len(self.task.class_names)},
            preprocess=Preprocess(
                size=self.recipe.size, crop=self.recipe.crop, mean=self.task.mean, std=self.task.std
            ),
            class_names=self.task.class_names,
            **self.facts,
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
        figures = ", ".join(
            f"{name.replace('_', ' ')} {value:.3f}"
            for name, value in epoch.items()
            if name.endswith(("_loss", "_accuracy", "_rmse"))
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
