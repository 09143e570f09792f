"""The score for being unlike the images of a training, as nodes of an ONNX graph.

The arithmetic is that of `galaxylib.evaluation.unlike`, in single precision. The reference lies in the
weights file as it lies in the checkpoint, 0.2 MB for the small network and 1.1 MB for the full one: in half
precision the principal directions were measured to move scores by up to 80 %, since what is left beside them
is weighed by its small variance.
"""

import numpy as np
import torch

from galaxylib.errors import CheckpointError
from galaxylib.evaluation.unlike import CURE, Normal, Reference
from galaxylib.web.tape import Tape, Value
from galaxylib.web.trace import Network


def write_score(network: Network, tape: Tape, reference: Reference, stages: dict[str, Value]) -> str:
    """Write the score behind the stages that it is about.

    Args:
        network: whose store takes the reference's arrays.
        tape: on which the stages were written.
        reference: of the network.
        stages: the value of each of the reference's stages.

    Returns:
        the name of the score, (1,).

    Raises:
        CheckpointError: the reference was measured with another network.
    """
    distances = []
    for stage, normal in reference.stages.items():
        if stages[stage].rank != 4 or normal.mean.shape != (2 * stages[stage].channels,):
            raise CheckpointError(
                f"The network's stage {stage!r} is not the one that the reference was measured with: {CURE}."
            )
        distances.append(_distance(network, tape, stage, normal, _pooled(tape, stages[stage])))
    return tape.node("Max", distances)


def _pooled(tape: Tape, stage: Value) -> str:
    """The mean and the deviation of every channel over the pixels, (1, 2 C)."""
    sides = tape.constant([2, 3])
    away = tape.node("Sub", [stage.name, tape.node("ReduceMean", [stage.name, sides], keepdims=1)])
    variance = tape.node("ReduceMean", [tape.node("Mul", [away, away]), sides], keepdims=0)
    mean = tape.node("ReduceMean", [stage.name, sides], keepdims=0)
    return tape.node("Concat", [mean, tape.node("Sqrt", [variance])], axis=1)


def _distance(network: Network, tape: Tape, stage: str, normal: Normal, numbers: str) -> str:
    """The Mahalanobis distance of (1, D) numbers in units of the stage's limit, (1,)."""

    def weight(name: str, array: np.ndarray) -> str:
        return network.weight(tape, f"{stage}.unlike.{name}", torch.from_numpy(array))

    def squares(value: str, variance: str) -> str:
        square = tape.node("Div", [tape.node("Mul", [value, value]), variance])
        return tape.node("ReduceSum", [square, tape.constant([1])], keepdims=0)

    centred = tape.node("Sub", [numbers, weight("mean", normal.mean)])
    away = tape.node("Div", [centred, weight("scale", normal.scale)])
    directions = weight("directions", normal.directions)
    along = tape.node("Gemm", [away, directions], transB=1)
    # The difference of the two squares, as in double precision, would lose most of its digits here.
    rest = tape.node("Sub", [away, tape.node("Gemm", [along, directions])])
    parts = (
        squares(along, weight("variances", normal.variances)),
        squares(rest, weight("noise", normal.noise)),
    )
    distance = tape.node("Sqrt", [tape.node("Add", parts)])
    return tape.node("Div", [distance, weight("limit", normal.limit)])
