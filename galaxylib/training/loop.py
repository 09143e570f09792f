"""Training on Lightning: one recipe, one folder, the same result however often it was interrupted.

Everything random hangs on (seed, epoch, image) or (seed, epoch, step), never on what ran before. A run that
was cut at any epoch and resumed therefore ends with the same weights, on the CPU bit for bit.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torchmetrics.classification import MulticlassF1Score

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.loader import batches
from galaxylib.data.preprocessing import Augment, Preprocess
from galaxylib.data.splits import Split
from galaxylib.errors import DataError, GalaxyError
from galaxylib.files import check_outputs, discard
from galaxylib.networks.checkpoint import DESCRIPTION, WEIGHTS
from galaxylib.networks.registry import build_for
from galaxylib.training.callbacks import (
    HISTORY,
    LAST,
    AtomicCheckpoints,
    Keeper,
    Progress,
    first_round,
    read_last,
)
from galaxylib.training.depthwise import quicken
from galaxylib.training.faults import interruptible, memory_advice, quiet
from galaxylib.training.hardware import Arithmetic, Devices, arithmetic
from galaxylib.training.recipes import Recipe


def train(
    data: Galaxy10,
    split: Split,
    recipe: Recipe,
    *,
    out: str | Path,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Train a network and leave a checkpoint folder.

    `out` then holds the best weights so far by validation loss (`weights.safetensors`, `checkpoint.json`),
    the figures of every epoch (`history.csv`) and the state to go on from (`last.ckpt`). Under `torchrun`
    each process calls this function and works on its share of every batch; the first one writes.

    Args:
        data: the galaxies.
        split: which of them train and validate; the test rows are not touched.
        recipe: every setting.
        out: the checkpoint's folder.
        resume: go on from `last.ckpt`, which must come from the same recipe, data and split.
        progress: show progress on standard output.

    Returns:
        `history` (one dict an epoch), `best_epoch` with its `validation_loss`, `validation_accuracy` and
        `validation_macro_f1`, `images_per_second`, `seconds`, `parameters`, `precision`, `checkpoint`.

    Raises:
        DataError: there are too few images for one step, or none to validate on.
        CheckpointError: the run in `out` cannot be resumed.
        GalaxyError: the loss stopped being a number, the memory or the disk is full, or a setting is unknown.
    """
    out, devices = Path(out), Devices.announced()
    if devices.rank == 0:
        check_outputs(*(out / name for name in (LAST, HISTORY, WEIGHTS, DESCRIPTION)), inputs=[data.path])
    plan = Plan(data, split, recipe, devices)
    keeper_facts = {"recipe": recipe.to_dict(), "data": data.fingerprint, "split": plan.split_fingerprint}
    former = read_last(out, keeper_facts) if resume else None
    if former is None and devices.rank == 0:
        discard(out / LAST)
        discard(first_round(out))
    mode = arithmetic(recipe.precision)
    network = _network(recipe)
    keeper = Keeper(
        out, recipe=recipe, facts=keeper_facts, data=data, images=plan.images, precision=mode.name
    )
    if former is not None:
        keeper.load_state_dict(former)
    with quiet(), torch.random.fork_rng(), memory_advice(recipe), interruptible():
        for number, epochs in enumerate((recipe.epochs, recipe.more_epochs), start=1):
            if number < keeper.round or epochs == 0 or (number == keeper.round and keeper.round_is_over()):
                continue
            going_on = former is not None and number == keeper.round
            if number == 2 and not going_on:
                keeper.begin_second_round(network, rank=devices.rank)
            run = Run(network, plan, recipe, mode, keeper, epochs=epochs)
            bar = [Progress(keeper, total=recipe.epochs + recipe.more_epochs)] if progress else []
            trainer = _trainer(recipe, mode, devices, epochs, [keeper, *bar])
            trainer.fit(run, ckpt_path=str(out / LAST) if going_on else None)
            network = run.network
    return keeper.summary(network)


class Plan:
    """Which rows each step works on: the same global batches however many devices share them.

    Attributes:
        batch_size: images a step, over all devices; the recipe's, or fewer on a file that has fewer.
        part: images that one device works on at once.
        steps: optimiser steps an epoch; rows that fill no whole batch sit out this epoch.
        images: training images an epoch.
    """

    def __init__(self, data: Galaxy10, split: Split, recipe: Recipe, devices: Devices) -> None:
        self.data, self.train, self.validation = data, split.train, split.validation
        self.seed, self.devices, self.accumulate = recipe.seed, devices, recipe.accumulate
        parts = devices.world * recipe.accumulate
        if recipe.batch_size % parts:
            raise GalaxyError(
                f"A batch of {recipe.batch_size} images does not divide among {devices.world} processes with "
                f"{recipe.accumulate} parts each: choose a multiple of {parts}."
            )
        self.batch_size = min(recipe.batch_size, len(split.train) // parts * parts)
        self.part = self.batch_size // parts
        if self.part < 2 or len(split.validation) == 0:
            raise DataError(
                f"The split has {len(split.train)} training and {len(split.validation)} validation images: "
                f"training needs at least {2 * parts} and 1, so give more galaxies."
            )
        self.steps = len(split.train) // self.batch_size
        self.images = self.steps * self.batch_size

    @property
    def split_fingerprint(self) -> str:
        """Tells splits apart."""
        import hashlib

        rows = np.concatenate([self.train, [-1], self.validation])
        return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:16]

    def rows(self, epoch: int) -> np.ndarray:
        """This process's training rows of an epoch, part after part."""
        order = np.random.default_rng((self.seed, epoch)).permutation(self.train)[: self.images]
        parts = order.reshape(self.steps, self.devices.world, self.accumulate * self.part)
        return parts[:, self.devices.rank].ravel()


class Feed:
    """Batches as Lightning takes them: something with a length that can be gone through again each epoch."""

    def __init__(self, run: "Run", *, training: bool) -> None:
        self.run, self.training = run, training

    def rows(self) -> np.ndarray:
        """What the coming pass reads."""
        plan = self.run.plan
        if self.training:
            return plan.rows(self.run.epoch)
        return plan.validation[plan.devices.rank :: plan.devices.world]

    def __len__(self) -> int:
        plan = self.run.plan
        return plan.steps * plan.accumulate if self.training else -(-len(self.rows()) // plan.part)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return batches(self.run.plan.data, self.rows(), batch_size=self.run.plan.part)


class Run(L.LightningModule):
    """One round of training: what a step is, what is measured, and how the learning rate goes."""

    def __init__(
        self,
        network: nn.Module,
        plan: Plan,
        recipe: Recipe,
        mode: Arithmetic,
        keeper: Keeper,
        *,
        epochs: int,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=mode.memory_format)
        if not torch.cuda.is_available():
            quicken(network)
        self.plan, self.recipe, self.mode = plan, recipe, mode
        self.keeper, self.epochs = keeper, epochs
        self.unchecked: tuple[int, Tensor] | None = None
        self.preprocess = Preprocess(size=recipe.size, crop=recipe.crop)
        self.augment = Augment(
            rotate=recipe.rotate, flip=recipe.flip, brightness=recipe.brightness, contrast=recipe.contrast
        )
        self.macro_f1 = MulticlassF1Score(num_classes=len(CLASS_NAMES), average="macro")

    @property
    def epoch(self) -> int:
        """Counted from 0 over both rounds; Lightning's own lags when a resumed run asks for its batches."""
        return len(self.keeper.history)

    def train_dataloader(self) -> Feed:
        """Lightning asks for this."""
        return Feed(self, training=True)

    def val_dataloader(self) -> Feed:
        """Lightning asks for this."""
        return Feed(self, training=False)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Everything but the row numbers, which the augmentation needs on the CPU."""
        images, labels, rows = batch
        return images.to(device, non_blocking=True), labels.to(device, non_blocking=True), rows

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Stored pixels -> what the network reads, in float32, the whole batch at once."""
        images, labels, rows = batch
        augment = self.augment if self.trainer.training else None
        x = self.preprocess(images, augment=augment, seed=self.recipe.seed, epoch=self.epoch, rows=rows)
        return x.contiguous(memory_format=self.mode.memory_format), labels

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy with label smoothing."""
        key = (self.recipe.seed, self.epoch, batch_idx, self.plan.devices.rank)
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))  # for dropout
        loss = self._measured(batch, "train")
        # The loss of the step before is known by now; asking for this one would let a GPU run dry.
        self._check_loss()
        self.unchecked = (self.trainer.global_step + 1, loss.detach())
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """The same loss, accuracy and macro F1 on images that are not augmented."""
        self._measured(batch, "validation")

    def _check_loss(self) -> None:
        if self.unchecked is not None and not torch.isfinite(self.unchecked[1]):
            raise GalaxyError(
                f"The loss stopped being a number at step {self.unchecked[0]} (epoch {self.epoch + 1}): "
                "lower the learning rate (or train in float32); the last good checkpoint is kept."
            )
        self.unchecked = None

    def on_validation_start(self) -> None:
        """Check the last loss of the epoch, and let the processes agree on BatchNorm's running statistics.

        Each process saw its own images: all get the mean.

        Raises:
            GalaxyError: the loss is not a number.
        """
        self._check_loss()
        world = self.plan.devices.world
        if world > 1:
            for buffer in self.network.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self.trainer.strategy.reduce(buffer, reduce_op="mean"))

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by norm; Lightning's own way refuses fused optimisers, for the sake of float16 alone."""
        if self.recipe.gradient_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_norm)

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW with one cycle of the learning rate over the whole round, step by step."""
        recipe = self.recipe
        optimiser = torch.optim.AdamW(
            self.parameters(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            # One pass over the weights instead of five; not with float16, whose scaled gradients it would
            # have to unscale before they are clipped.
            fused=self.mode.name != "float16",
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            max_lr=recipe.learning_rate,
            total_steps=self.epochs * self.plan.steps,
            pct_start=recipe.warm_up,
            div_factor=25.0,
            final_div_factor=1000.0,
            cycle_momentum=recipe.cycle_momentum,
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _measured(self, batch: tuple[Tensor, Tensor], part: str) -> Tensor:
        images, labels = batch
        logits = self.network(images).float()
        loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        right = (logits.argmax(1) == labels).float().mean()
        values: dict[str, Any] = {f"{part}_loss": loss.detach(), f"{part}_accuracy": right}
        if part == "validation":
            self.macro_f1.update(logits, labels)
            values["validation_macro_f1"] = self.macro_f1
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=len(labels), sync_dist=True)
        return loss


def _network(recipe: Recipe) -> nn.Module:
    """The recipe's network with its first weights, which depend on the seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        return build_for(recipe.network, size=recipe.size, options=recipe.options())


def _trainer(
    recipe: Recipe, mode: Arithmetic, devices: Devices, epochs: int, callbacks: list[L.Callback]
) -> L.Trainer:
    gpu = torch.cuda.is_available()
    strategy: Any = "auto"
    if devices.world > 1:
        # Buffers are averaged once an epoch instead of copied at every step.
        strategy = DDPStrategy(process_group_backend="nccl" if gpu else "gloo", broadcast_buffers=False)
    return L.Trainer(
        accelerator="gpu" if gpu else "cpu",
        devices=devices.local,
        num_nodes=devices.hosts,
        strategy=strategy,
        precision=mode.lightning,
        max_epochs=epochs,
        accumulate_grad_batches=recipe.accumulate,
        sync_batchnorm=gpu and devices.world > 1,
        benchmark=gpu,
        callbacks=callbacks,
        # Without torchrun one process works alone, whatever a batch system has put in the environment.
        plugins=[AtomicCheckpoints(), *([] if devices.launched else [LightningEnvironment()])],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
