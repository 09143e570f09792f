"""The error of vote fractions over an epoch, counted batch by batch."""

from torch import Tensor
from torchmetrics import MeanSquaredError

from galaxylib.votes.outputs import to_fractions


class FractionsError(MeanSquaredError):
    """Root mean square error of the fractions that a rule makes of logits."""

    def __init__(self, rule: str) -> None:
        super().__init__(squared=False)
        self.rule = rule

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Take in a batch: logits and vote fractions, both (N, 37)."""
        super().update(to_fractions(logits, self.rule).flatten(), targets.flatten())
