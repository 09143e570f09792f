"""One round of training as a Lightning module: the step, its figures, the optimiser, the moving average."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from galaxylib.data.augmentation import Augment, Rows
from galaxylib.data.loader import batches
from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import GalaxyError
from galaxylib.networks.batch_norm import fresh_statistics
from galaxylib.training.callbacks import Keeper
from galaxylib.training.companions import Companions, mixture, stream
from galaxylib.training.convolutions import quicken
from galaxylib.training.hardware import Arithmetic
from galaxylib.training.plan import Feed, Plan
from galaxylib.training.recipes import Recipe
from galaxylib.training.tasks import Task

PARTS = ("train", "validation")


class Unchecked:
    """Whether a step's loss is a number, on its way from the device.

    Attributes:
        step: counted from 1.
    """

    def __init__(self, step: int, loss: Tensor) -> None:
        self.step = step
        self.finite = torch.isfinite(loss).to("cpu", non_blocking=True)
        self.arrived = None if loss.device.type == "cpu" else torch.cuda.Event()
        if self.arrived is not None:
            self.arrived.record()

    def is_finite(self) -> bool:
        """Wait for that step's loss alone; asking for the value would wait for all that was begun since."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return bool(self.finite)


class Run(L.LightningModule):
    """One round of training: what a step is, what is measured, and how the learning rate goes."""

    def __init__(
        self,
        network: nn.Module,
        plan: Plan,
        recipe: Recipe,
        task: Task,
        mode: Arithmetic,
        keeper: Keeper,
        *,
        epochs: int,
        companions: Companions | None = None,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        # In a tuple, since Lightning would list the weights of an attribute a second time.
        self.steps: tuple[Callable[[Tensor], Tensor]] = (network,)
        self.compiled = compiled
        if compiled:
            self.steps = (torch.compile(network.forward, mode="reduce-overhead", dynamic=False),)
        if not torch.cuda.is_available():
            quicken(network)
        self.average: AveragedModel | None = None
        if recipe.averaging:
            # Part of this module, so that Lightning keeps and restores it; its own callback would swap the
            # weights only for validation and keep a copy more.
            mean = get_ema_multi_avg_fn(recipe.averaging)
            self.average = AveragedModel(self.network, multi_avg_fn=mean, use_buffers=True)
            self.average.requires_grad_(requires_grad=False)
        self.plan, self.recipe, self.task, self.mode = plan, recipe, task, mode
        self.keeper, self.epochs, self.companions = keeper, epochs, companions
        self.unchecked: Unchecked | None = None
        self.augment = Augment(
            rotate=recipe.rotate,
            flip=recipe.flip,
            brightness=recipe.brightness,
            contrast=recipe.contrast,
            quarter_turns=recipe.quarter_turns,
            jitter=recipe.jitter,
            # Black corners would be a mark of training images alone where the frame is moved and magnified.
            corners="reflection" if recipe.jitter else "zeros",
        )
        self.metrics = nn.ModuleDict(
            {f"{part}_{name}": metric for part in PARTS for name, metric in task.metrics().items()}
        )

    @property
    def kept(self) -> nn.Module:
        """The network whose weights are validated and kept: the moving average where there is one."""
        return self.network if self.average is None else self.average.module

    def to_keep(self, *, final: bool) -> nn.Module:
        """The network to write down at the end of an epoch, `final` if it is the round's last.

        Averaged weights get BatchNorm statistics of their own where no later epoch will replace them, and so
        do any where the recipe measures statistics on more than training images.
        """
        from_training = self.average is None and self.recipe.statistics == "training"
        if from_training or (self.recipe.keep == "last" and not final):
            return self.kept
        return settled(self)

    @property
    def epoch(self) -> int:
        """Counted from 0 over both rounds; Lightning's own lags when a resumed run asks for its batches."""
        return len(self.keeper.history)

    def train_dataloader(self) -> Feed:
        """Lightning asks for this."""
        return Feed(self.plan, lambda: self.epoch, training=True)

    def val_dataloader(self) -> Feed:
        """Lightning asks for this."""
        return Feed(self.plan, lambda: self.epoch, training=False)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Everything but the row numbers, which the augmentation needs on the CPU."""
        images, labels, rows = batch
        return on_its_way(images, device), labels.to(device, non_blocking=True), rows

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Stored pixels -> what the network reads, in float32, the whole batch at once."""
        images, labels, rows = batch
        training = self.trainer.training
        view = self.recipe.view(self.epoch) if training else (self.recipe.size, self.recipe.crop)
        return self.prepared(images, rows, view=view, augment=self.augment if training else None), labels

    def prepared(
        self,
        images: Tensor,
        rows: Rows,
        *,
        view: tuple[int, int],
        augment: Augment | None,
        seed: int | None = None,
    ) -> Tensor:
        """(N, H, W, 3) uint8 -> (N, 3, size, size) normalised, the `view` being size and crop.

        The changes of `augment` depend on the recipe's seed, or on `seed`.
        """
        size, crop = view
        seed = self.recipe.seed if seed is None else seed
        preprocess = Preprocess(size=size, crop=crop, mean=self.task.mean, std=self.task.std)
        x = preprocess(images, augment=augment, seed=seed, epoch=self.epoch, rows=rows)
        return x.contiguous(memory_format=torch.channels_last)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The task's loss, and the companions' beside it."""
        key = (self.recipe.seed, self.epoch, batch_idx, self.plan.devices.rank)
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))  # for dropout
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()
        loss = self._measured(batch, "train")
        if self.recipe.companions and self.companions is not None:
            loss = loss + self.recipe.companion_weight * self._beside(self.companions, batch_idx)
        # The loss of the step before is known by now; asking for this one would let a GPU run dry.
        self._check_loss()
        self.unchecked = Unchecked(self.trainer.global_step + 1, loss.detach())
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """The same figures on images that are not augmented."""
        self._measured(batch, "validation")

    def _check_loss(self) -> None:
        if self.unchecked is not None and not self.unchecked.is_finite():
            raise GalaxyError(
                f"The loss stopped being a number at step {self.unchecked.step} (epoch {self.epoch + 1}): "
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

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        """Take the step, then let the moving average follow."""
        super().optimizer_step(*arguments, **named)
        if self.average is not None:
            self.average.update_parameters(self.network)

    def configure_optimizers(self) -> dict[str, Any]:
        """The recipe's optimiser, and how the learning rate goes over the whole round."""
        recipe = self.recipe
        rate = recipe.learning_rate
        if self.keeper.round == 2 and recipe.more_learning_rate:
            rate = recipe.more_learning_rate
        weights = self.network.parameters()
        optimiser: torch.optim.Optimizer
        if recipe.optimizer == "adamw":
            # Fused: one pass over the weights instead of five; not with float16, whose scaled gradients it
            # would have to unscale before they are clipped.
            fused = self.mode.name != "float16"
            optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=recipe.weight_decay, fused=fused)
        else:
            optimiser = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}[recipe.optimizer](
                weights, lr=rate
            )
        if recipe.schedule == "constant":
            return {"optimizer": optimiser}
        if recipe.schedule == "plateau":
            waits = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, patience=recipe.plateau)
            return {
                "optimizer": optimiser,
                "lr_scheduler": {"scheduler": waits, "monitor": "validation_loss"},
            }
        steps, warm_up = self.epochs * self.plan.steps, float(recipe.warm_up)
        if warm_up * steps == 1:
            warm_up -= 1e-9  # PyTorch divides by the length of the climb less one step
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            max_lr=rate,
            total_steps=steps,
            pct_start=warm_up,
            div_factor=25.0,
            final_div_factor=1000.0,
            cycle_momentum=recipe.cycle_momentum and recipe.optimizer != "rmsprop",
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}

    def _measured(self, batch: tuple[Tensor, Tensor], part: str) -> Tensor:
        images, labels = batch
        network = self.steps[0] if part == "train" else self.kept
        logits = network(images).float()
        loss = self.task.loss(logits, labels)
        values: dict[str, Any] = {f"{part}_loss": loss.detach()}
        for name, metric in self.metrics.items():
            if name.startswith(part):
                metric.update(logits.detach(), labels)
                values[name] = metric
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=len(labels), sync_dist=True)
        return loss

    def _beside(self, companions: Companions, batch: int) -> Tensor:
        """The loss of a step's companions, seen in a pass of their own so that BatchNorm meets like images.

        Each draw has a change of its own, for a companion may come back within an epoch.
        """
        step, places = self.plan.companion_places(batch)
        count, seed = self.recipe.companions, self.recipe.seed
        rows = companions.rows(seed=seed, epoch=self.epoch, step=step, count=count)[places]
        numbers = np.arange(step * count, (step + 1) * count)[places]
        images = on_its_way(torch.from_numpy(companions.images[rows]), self.device)
        with torch.autocast(self.device.type, enabled=False):
            view = self.recipe.view(self.epoch)
            x = self.prepared(images, numbers, view=view, augment=self.augment, seed=stream(seed))
        logits = self.steps[0](x).float()
        loss = companions.loss(logits, rows, label_smoothing=self.recipe.label_smoothing)
        self.log(
            "companion_loss",
            loss.detach(),
            on_step=False,
            on_epoch=True,
            batch_size=len(rows),
            sync_dist=True,
        )
        return loss


def on_its_way(images: Tensor, device: torch.device) -> Tensor:
    """Images on a device; to a GPU from memory that it reads by itself, else the copy waits for its work."""
    if device.type == "cuda" and images.device.type == "cpu":
        images = images.pin_memory()
    return images.to(device, non_blocking=True)


@torch.no_grad()
def settled(run: Run) -> nn.Module:
    """A copy of the weights to keep with BatchNorm statistics of its own.

    Those gathered on the way belong to other weights, so they are measured anew on up to 4,096 images,
    augmented as in training at the full size: training images, companions, or both, as the recipe says.
    """
    network = deepcopy(run.kept)
    device = next(network.parameters()).device
    with fresh_statistics(network):
        for x in _to_measure(run, device):
            with torch.autocast(device.type, run.mode.dtype, enabled=run.mode.name != "float32"):
                network(x)
    return network


def _to_measure(run: Run, device: torch.device) -> Iterator[Tensor]:
    """Batches (N, 3, size, size) for `settled`."""
    recipe, plan = run.recipe, run.plan
    full = {"view": (recipe.size, recipe.crop), "augment": run.augment}
    if recipe.statistics == "training" or run.companions is None:
        rows = np.random.default_rng(recipe.seed).permutation(plan.train)[:4096]
        for images, _, numbers in batches(plan.data, rows, batch_size=plan.part):
            yield run.prepared(images.to(device), numbers, **full)
        return
    training = plan.train if recipe.statistics == "both" else plan.train[:0]
    for own, others, numbers in mixture(run.companions, training, seed=recipe.seed, batch=plan.part):
        parts, first = [], 0
        for source, rows in ((plan.data.read, own), (run.companions.images.__getitem__, others)):
            if len(rows):
                images = torch.from_numpy(source(rows)).to(device)
                places = numbers[first : first + len(rows)]
                parts.append(run.prepared(images, places, seed=stream(recipe.seed), **full))
                first += len(rows)
        x = torch.cat(parts)
        yield x.contiguous(memory_format=torch.channels_last)
