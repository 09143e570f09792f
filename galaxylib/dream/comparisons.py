"""Comparisons of activations: with those of another image, and between the images of a batch.

Each takes activations of one layer, (N, C, ...) with any number of places, and gives one number an image. All
are ratios, so that a weight means the same at every stage and size.
"""

import torch
from torch import Tensor

from galaxylib.errors import DreamError

LEAST_COSINE = 0.1
"""Below which the cosine of a caricature counts as this: a power of a negative number leads nowhere."""


def nearness(activation: Tensor, anchor: Tensor) -> Tensor:
    """Minus the squared distance between activations, in units of the anchor's squared length.

    With `a` the activation of an image and `b` that of its anchor, both over all channels and places, it is
    `-|a - b|^2 / |b|^2`: 0 where they are the same, -1 where `a` is silent. It is the loss of Mahendran and
    Vedaldi (2015), without their priors of images.

    Args:
        activation: (N, C, ...).
        anchor: of the same shape; none of its images is silent.

    Returns:
        (N,).
    """
    away = (activation - anchor).flatten(1).square().sum(1)
    return -away / anchor.flatten(1).square().sum(1)


def exaggeration(activation: Tensor, anchor: Tensor, *, power: float) -> Tensor:
    """How far an activation goes along its anchor's, and how well it keeps that direction.

    With `a` the activation of an image and `b` that of its anchor, both over all channels and places, it is
    `(a . b) / |b|^2 * max(cos(a, b), 0.1)^power`: 1 where they are the same. A power of 0 leaves the inner
    product, the caricature of Mahendran and Vedaldi (2016); the cosine's power is the `cossim_pow` of Lucid,
    which keeps other patterns from growing with it.

    Args:
        activation: (N, C, ...).
        anchor: of the same shape; none of its images is silent.
        power: of the cosine, at least 0.

    Returns:
        (N,).
    """
    a, b = activation.flatten(1), anchor.flatten(1)
    dot, length = (a * b).sum(1), b.square().sum(1)
    cosine = dot / (a.square().sum(1) * length).sqrt().clamp_min(1e-12)
    return dot / length * cosine.clamp_min(LEAST_COSINE) ** power


def diversity(activation: Tensor) -> Tensor:
    """Minus the mean cosine between an image's Gram matrix and those of the batch's other images.

    The Gram matrix of image `i` is `G_i[c, d] = sum over places of a_i[c] a_i[d]`: which channels speak
    together, wherever they do. With `N` images it is `-1 / (N - 1) * sum over j != i of cos(G_i, G_j)`, from
    -1, where all are alike, to 0. The sum over the batch is, apart from its factor, the diversity term of
    Olah, Mordvintsev and Schubert (2017).

    Args:
        activation: (N, C, ...).

    Returns:
        (N,).

    Raises:
        DreamError: there is only one image.
    """
    count = len(activation)
    if count < 2:
        raise DreamError("Diversity compares the images of a batch: dream at least two at once.")
    maps = activation.flatten(2) if activation.ndim > 2 else activation[..., None]
    gram = (maps @ maps.mT).flatten(1)
    unit = gram / gram.norm(dim=1, keepdim=True).clamp_min(1e-12)
    alike = unit @ unit.T
    others = 1 - torch.eye(count, device=alike.device, dtype=alike.dtype)
    return -(alike * others).sum(1) / (count - 1)
