"""The one place where a network and images become probabilities or vote fractions.

A network's temperature is applied here and nowhere else, once the views of an image are averaged, so that it
never changes which class is the most probable one. What the network's stages give on the way, averaged over
the pixels, is handed out where it is asked for (see `galaxylib.evaluation.unlike`).

All of it has the channels last in memory, and is float32 unless a caller asks for the short type. Measured on
one core (AMD EPYC with AVX-512 and bfloat16) with both shipped networks on 60 real images: bfloat16 is 1.3 to
2.4 times faster and moves a probability by up to 0.024; the memory format moves none by more than 1e-6.
Probabilities are quoted, compared and calibrated in the arithmetic that every machine has; a catalogue of
millions may be made in the short one (`galaxylib.catalogue`), and says so.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from galaxylib.data.loader import Images, batches
from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import BATCHES, CheckpointError, GalaxyError, is_lack_of_memory
from galaxylib.evaluation.calibration import apply_temperature
from galaxylib.networks.own_network import told
from galaxylib.training.hardware import arithmetic, default_device

PRECISIONS = ("auto", "float32", "bfloat16")
AT_ONCE = 8
"""Images that a processor prepares at once."""
CURE = "train it again at a size that it can read"

Activation = Callable[[Tensor], Tensor]


def softmax(logits: Tensor) -> Tensor:
    """Class probabilities (N, C) in float64, so that small ones keep their digits."""
    return logits.double().softmax(1)


def eight_views(images: Tensor) -> Iterator[Tensor]:
    """The four quarter turns of (N, C, H, W) square images, and their mirror images."""
    for turned in (images, images.flip(3)):
        for quarter in range(4):
            yield turned.rot90(quarter, (2, 3))


def pooled(activation: Tensor) -> Tensor:
    """Mean and deviation over an activation's places, for each channel.

    Args:
        activation: (N, C, H, W) maps, (N, T, C) tokens, or (N, C).

    Returns:
        (N, 2 C) float32; (N, C) where there are no places.
    """
    flat = activation.float()
    if flat.ndim == 2:
        return flat
    flat = flat.flatten(2) if flat.ndim > 3 else flat.transpose(1, 2)
    return torch.cat((flat.mean(2), flat.std(2, correction=0)), 1)


@contextmanager
def watching(network: nn.Module, stages: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """A dictionary that a pass fills with what `pooled` gives for the named submodules, on the CPU.

    Later passes leave what is there; those whose output is no activation stay out.

    Raises:
        CheckpointError: the network has no such submodule.
    """
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim >= 2:
                # Of several views of an image, the first is the image as it stands.
                seen[name] = seen[name] if name in seen else pooled(output).cpu()

        return hook

    with ExitStack() as hooks:
        for name in stages:
            try:
                module = network.get_submodule(name)
            except AttributeError as fault:
                raise CheckpointError(
                    f"The network has no stage {name!r}, which its reference is about: run "
                    "`galaxylib calibrate` again."
                ) from fault
            hooks.callback(module.register_forward_hook(keep(name)).remove)
        yield seen


@dataclass(frozen=True)
class Looks:
    """What a network says of images, and what its stages gave for them.

    Attributes:
        answers: (N, C) probabilities, or what else the activation makes of the logits.
        stages: for each stage that was asked for (N, D), as `pooled` gives it, of the image as it stands.
    """

    answers: np.ndarray
    stages: dict[str, np.ndarray]


def judging_precision(asked: str) -> str:
    """What "auto" means here: bfloat16 where the machine multiplies it natively, else float32.

    float16, which a training may use on an older GPU, has too little range for a network as it comes.
    """
    found = arithmetic(asked).name
    return "float32" if found == "float16" else found


@torch.inference_mode()
def judge(
    network: nn.Module,
    images: Tensor,
    *,
    activation: Activation = softmax,
    temperature: float = 1.0,
    symmetries: bool = False,
    precision: str = "float32",
) -> Tensor:
    """What a network says of a batch.

    Args:
        network: gives (N, C) logits; its mode and its device stay what they are.
        images: (N, 3, H, W) float32, normalised, on any device.
        activation: from logits to what is wanted.
        temperature: divides the logarithms of the answers, which must then be probabilities; 1 leaves them.
        symmetries: average over the eight turns and reflections of each image.
        precision: "float32", or "bfloat16", in which the convolutions then are.

    Returns:
        (N, C) on the CPU, in the activation's type.
    """
    device = next((weight.device for weight in network.parameters()), images.device)
    training = network.training
    network.eval()
    views = eight_views(images) if symmetries else [images]
    short = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    try:
        with short:
            logits = [network(view.to(device, memory_format=torch.channels_last)) for view in views]
        found = [activation(one.float()) for one in logits]
    finally:
        network.train(training)
    answers = (sum(found) / len(found)).cpu()
    if temperature == 1:
        return answers
    return torch.from_numpy(apply_temperature(answers.double().numpy(), temperature))


def judge_rows(
    network: nn.Module,
    data: Images,
    rows: Sequence[int] | np.ndarray,
    *,
    preprocess: Preprocess,
    activation: Activation = softmax,
    symmetries: bool = False,
    batch_size: int = 64,
    progress: bool = False,
) -> np.ndarray:
    """What a network says of rows of a file, or of images in memory: the answers of `look_at_rows`.

    Its arguments are those of `look_at_rows`, and so are its errors.

    Returns:
        (len(rows), C).
    """
    return look_at_rows(
        network,
        data,
        rows,
        preprocess=preprocess,
        activation=activation,
        symmetries=symmetries,
        batch_size=batch_size,
        progress=progress,
    ).answers


def look_at_rows(
    network: nn.Module,
    data: Images,
    rows: Sequence[int] | np.ndarray,
    *,
    preprocess: Preprocess,
    activation: Activation = softmax,
    temperature: float = 1.0,
    symmetries: bool = False,
    stages: Sequence[str] = (),
    batch_size: int = 64,
    progress: bool = False,
) -> Looks:
    """What a network says of rows of a file, or of images in memory, and what its stages give for them.

    Args:
        network: gives (N, C) logits; it is moved to the GPU where there is one.
        data: the images.
        rows: which of them, in which order.
        preprocess: what an image goes through first.
        activation: from logits to what is wanted.
        temperature: divides the logarithms of the answers, which must then be probabilities; 1 leaves them.
        symmetries: average over the eight turns and reflections of each image.
        stages: submodules whose activations are wanted too.
        batch_size: images at once.
        progress: show a progress bar.

    Raises:
        DataError: a row is not in the file.
        CheckpointError: the network has no such stage.
        GalaxyError: the memory does not suffice, or the network cannot read images of that size.
    """
    found = list(
        look_at_batches(
            network,
            batches_of(data, rows, batch_size=batch_size, progress=progress),
            preprocess=preprocess,
            activation=activation,
            temperature=temperature,
            symmetries=symmetries,
            stages=stages,
        )
    )
    answers = np.concatenate([looks.answers for looks in found]) if found else np.empty((0, 0))
    names = found[0].stages if found else ()
    return Looks(answers, {name: np.concatenate([looks.stages[name] for looks in found]) for name in names})


def look_at_batches(
    network: nn.Module,
    images: Iterable[Tensor],
    *,
    preprocess: Preprocess,
    activation: Activation = softmax,
    temperature: float = 1.0,
    symmetries: bool = False,
    stages: Sequence[str] = (),
    precision: str = "float32",
) -> Iterator[Looks]:
    """What a network says of batch after batch, each judged when it is asked for.

    Args:
        network: gives (N, C) logits; it is moved to the GPU where there is one.
        images: batches, (N, H, W, 3) uint8 with N from 1.
        preprocess: what an image goes through first.
        activation: from logits to what is wanted.
        temperature: as in `look_at_rows`.
        symmetries: average over the eight turns and reflections of each image.
        stages: submodules whose activations are wanted too.
        precision: as in `judge`.

    Yields:
        for each batch what `look_at_rows` gives for all.

    Raises:
        CheckpointError, GalaxyError: as `look_at_rows`.
    """
    device = default_device()
    network = network.to(device)
    unreadable = (
        f"The network cannot read images of {preprocess.size} x {preprocess.size} pixels, as it was asked to"
    )
    how = {
        "activation": activation,
        "temperature": temperature,
        "symmetries": symmetries,
        "precision": precision,
    }
    with watching(network, stages) as seen:
        for batch in images:
            with told(unreadable, CURE):
                answers = _judged(
                    network, _prepared(preprocess, batch.to(device, non_blocking=True)), how
                ).numpy()
            looks = Looks(answers, {name: given.numpy() for name, given in seen.items()})
            seen.clear()
            yield looks


def batches_of(
    data: Images, rows: Sequence[int] | np.ndarray, *, batch_size: int, progress: bool
) -> Iterator[Tensor]:
    """The images of rows in batches, (N, H, W, 3) uint8; the bar counts those that the caller is done with.

    Its arguments are those of `look_at_rows`.

    Raises:
        DataError: a row is not in the file.
        GalaxyError: the batch size is out of range.
    """
    BATCHES.check("batch_size", batch_size)
    with tqdm(total=len(rows), unit="image", desc="evaluating", disable=not progress) as bar:
        for images, _, _ in batches(data, rows, batch_size=batch_size):
            yield images
            bar.update(len(images))


def _prepared(preprocess: Preprocess, images: Tensor) -> Tensor:
    """What `preprocess` gives for a batch, few by few: a processor's cache holds them, 1.6 times faster."""
    if images.device.type != "cpu" or len(images) <= AT_ONCE:
        return preprocess(images)
    return torch.cat([preprocess(few) for few in images.split(AT_ONCE)])


def _judged(network: nn.Module, images: Tensor, how: dict[str, Any]) -> Tensor:
    try:
        return judge(network, images, **how)
    except (MemoryError, RuntimeError) as fault:
        if not is_lack_of_memory(fault):
            raise
        raise GalaxyError(
            f"The memory does not suffice for {len(images)} images at once: "
            f"try a batch size of {max(1, len(images) // 2)}."
        ) from fault
