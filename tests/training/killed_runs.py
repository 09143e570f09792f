"""What a training that is killed leaves behind."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from galaxylib.training.callbacks import Keeper


def left_after_each_epoch(folder: Path, run: Callable[[], object]) -> dict[int, Path]:
    """Run a training into `folder`, whole; its folder as it was when each epoch was written down, copied."""
    left, finish = {}, Keeper.on_train_epoch_end

    def finish_and_copy(self, trainer, network):
        finish(self, trainer, network)
        left[network.epoch] = shutil.copytree(folder, folder.with_name(f"{folder.name}-{network.epoch}"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "on_train_epoch_end", finish_and_copy)
        run()
    return left
