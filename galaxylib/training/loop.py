"""The one training loop, on Lightning: a recipe, a task, a folder; however often cut, the same result.

Everything random depends on (seed, epoch, image) or (seed, epoch, step), never on what ran before. A run that
was cut at any epoch and resumed therefore ends with the same weights, on the CPU bit for bit.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from galaxylib.data.loader import Images
from galaxylib.data.splits import SPLIT, Split
from galaxylib.errors import GalaxyError
from galaxylib.files import check_outputs, hold_lock
from galaxylib.networks.checkpoint import DESCRIPTION, WEIGHTS, Loaded, checkpoint_files
from galaxylib.networks.registry import build_for
from galaxylib.networks.schemas import check_options
from galaxylib.training.callbacks import Keeper, Progress
from galaxylib.training.companions import Companions, check_companions
from galaxylib.training.faults import interruptible, memory_advice, quiet
from galaxylib.training.hardware import Arithmetic, Devices, arithmetic, keeping_memory
from galaxylib.training.plan import Plan
from galaxylib.training.recipes import Recipe
from galaxylib.training.start import Start
from galaxylib.training.state import HISTORY, LAST, AtomicCheckpoints, read_run, remove_run, restoring
from galaxylib.training.steps import Run
from galaxylib.training.tasks import Classification, Task


def train(
    data: Images,
    split: Split,
    recipe: Recipe,
    *,
    out: str | Path,
    task: Task | None = None,
    companions: Companions | None = None,
    start: Loaded | str | Path | None = None,
    callbacks: Sequence[L.Callback] = (),
    resume: bool = False,
    replace: bool = False,
    compiled: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Train a network and leave a checkpoint folder.

    `out` then holds the split, the best weights so far by validation loss (`weights.safetensors`,
    `checkpoint.json`), the figures of every epoch (`history.csv`) and the state to go on from (`last.ckpt`).
    It changes only once all settings are checked and the network is built, and belongs to one run at a time.
    Under `torchrun` each process calls this function and works on its share of every batch; the first writes.

    Args:
        data: the galaxies, a file or what is in memory.
        split: which of them train and validate; the test rows are not touched. A recipe that keeps the last
            epoch, whatever its figures, needs no validation rows.
        recipe: every setting.
        task: what is learned; by default the ten classes, with the recipe's label smoothing.
        companions: images of other surveys, for a recipe that looks at them.
        start: a checkpoint of the same network, options and classes, whose weights are the first ones; by
            default they are drawn from the seed.
        callbacks: Lightning's, called after the trainer's own; they must not change the network.
        out: the checkpoint's folder; a run that it holds already is refused.
        resume: go on with that run, which must have had the same recipe, data, split,
            companions and start.
        compiled: on a GPU, put torch.compile and CUDA graphs under the training steps, each size of images
            anew, so that the first steps take long. Without a GPU it changes nothing. Not for a recipe that
            accumulates gradients.
        replace: without `resume`, remove that run once all is checked.
        progress: show progress on standard output.

    Returns:
        `history` (one dict an epoch), `best_epoch` with its `validation_loss` and the task's figures, such as
        `validation_accuracy` (where there was validation), `images_per_second`, `seconds`, `parameters`,
        `precision`, `checkpoint`.

    Raises:
        DataError: there are too few images for one step, none to validate on, or the split is of other data.
        CheckpointError: `out` holds a run already, or one that cannot be resumed; or `start` is no whole
            checkpoint, or one of another network.
        GalaxyError: the loss stopped being a number, the memory or the disk is full, a setting is unknown, or
            another run is at work in `out`; or the recipe asks for companions and there are none, or the
            reverse; or compiled steps were asked for and the recipe accumulates gradients.
    """
    out, devices = Path(out), Devices.announced()
    _check_compiled(recipe, compiled=compiled)
    task = task or Classification(label_smoothing=recipe.label_smoothing)
    if devices.rank == 0:
        written = (LAST, HISTORY, WEIGHTS, DESCRIPTION, SPLIT)
        read = [] if start is None or isinstance(start, Loaded) else checkpoint_files(start)
        check_outputs(*(out / name for name in written), inputs=[getattr(data, "path", None), *read])
    check_companions(companions, recipe, task)
    plan = Plan(data, split, recipe, devices)
    about = {"fingerprint": data.fingerprint, "galaxies": len(data), "simulated": data.simulated}
    facts = {
        "task": {"name": task.name, **task.description()},
        "recipe": recipe.to_dict(),
        "data": about,
        "split_fingerprint": split.rows_fingerprint,
    }
    if companions is not None:
        facts["companions"] = companions.description()
    begun = None if start is None else Start.read(start, recipe, class_names=task.class_names)
    if begun is not None:
        facts["start"] = begun.description()
    replace = replace and not resume
    if not replace:
        read_run(out, facts, resume=resume)  # to refuse before the network is built
    mode = arithmetic(recipe.precision)
    network = _network(recipe, classes=len(task.class_names))
    if begun is not None:
        network.load_state_dict(begun.weights)
    keeper = Keeper(out, recipe=recipe, task=task, facts=facts, images=plan.images, precision=mode.name)
    for epochs in filter(None, (recipe.epochs, recipe.more_epochs)):
        # An optimiser or a schedule that cannot be built is refused before anything in `out` changes.
        Run(network, plan, recipe, task, mode, keeper, epochs=epochs).configure_optimizers()
    with (
        hold_lock(out / ".lock", wait=False) if devices.rank == 0 else nullcontext(),
        quiet(),
        keeping_memory(),
        torch.random.fork_rng(),
        memory_advice(recipe),
        interruptible(),
    ):
        former = None if replace else read_run(out, facts, resume=resume)
        if former is not None:
            keeper.load_state_dict(former)
        if devices.rank == 0:
            if replace:
                remove_run(out)
            split.save(out / SPLIT)
        for number, epochs in enumerate((recipe.epochs, recipe.more_epochs), start=1):
            if number < keeper.round or epochs == 0 or (number == keeper.round and keeper.round_is_over()):
                continue
            going_on = former is not None and number == keeper.round
            if number == 2 and not going_on:
                keeper.begin_second_round(network, rank=devices.rank)
            plan.keep_at_hand(devices.own_device())
            run = Run(
                network,
                plan,
                recipe,
                task,
                mode,
                keeper,
                epochs=epochs,
                companions=companions,
                compiled=compiled and torch.cuda.is_available(),
            )
            bar = [Progress(keeper, total=recipe.epochs + recipe.more_epochs)] if progress else []
            trainer = _trainer(plan, recipe, mode, epochs, [keeper, *bar, *callbacks])
            with restoring(keeper) if going_on else nullcontext():
                trainer.fit(run, ckpt_path=str(out / LAST) if going_on else None)
            network = run.network
    return keeper.summary(network)


def _check_compiled(recipe: Recipe, *, compiled: bool) -> None:
    """Refuse compiled steps whose gradients are to be added up.

    A CUDA graph leaves the gradients in its own memory, where the next part's graph writes over them
    (https://github.com/pytorch/pytorch/issues/169545).
    """
    if compiled and recipe.accumulate > 1:
        raise GalaxyError(
            f"Compiled steps cannot accumulate the gradients of {recipe.accumulate} parts of a batch, since "
            "each part's are written over the former's: train without --compile, or with --accumulate 1."
        )


def _network(recipe: Recipe, *, classes: int) -> nn.Module:
    """The recipe's network with its first weights, which depend on the seed alone."""
    options = recipe.network_options()
    # Its checkpoint could not be read back with others.
    check_options(recipe.network, options, where="the recipe", cure="choose another value")
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        return build_for(recipe.network, size=recipe.size, classes=classes, options=options)


def _trainer(
    plan: Plan, recipe: Recipe, mode: Arithmetic, epochs: int, callbacks: list[L.Callback]
) -> L.Trainer:
    devices = plan.devices
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
        limit_val_batches=1.0 if len(plan.validation) else 0,
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
