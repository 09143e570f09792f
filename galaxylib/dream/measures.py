"""What a dream did, in numbers, so that words about dreams can be tested.

Every measure of a change compares a dream with its *reference*: the same image through the same protocol
without a step, so that what resampling and sharpening do does not count as dreaming. And every measure can be
had from the same network with random weights (`random_twin`), and a dream must beat it before anything in it
counts as *learned*.
"""

import copy
import warnings
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import images as pictures
from galaxylib.dream.dreaming import dream_batch
from galaxylib.dream.forward import Tap
from galaxylib.dream.images import Prior, frequencies
from galaxylib.dream.objectives import OUTPUT, Objective, layer
from galaxylib.dream.prior import radial_amplitude
from galaxylib.dream.settings import Settings
from galaxylib.dream.shapes import light_of
from galaxylib.evaluation.judge import judge
from galaxylib.networks.batch_norm import fresh_statistics

STORED = 256
"""Pixels a side of the stored images that a preprocessing's crop counts in."""
BRIGHT = 1.5
"""How far above the sky a galaxy's footprint begins, in units of the sky's scatter."""
ANGLES = 128
"""Samples on a circle round the galaxy."""


def references(network: nn.Module, images: Tensor, *, settings: Settings, preprocess: Preprocess) -> Tensor:
    """Images (N, 3, H, W) through a protocol without steps: resized, blurred by the pyramid, sharpened."""
    still = replace(settings, steps=(0,) * len(settings.sizes))
    made = dream_batch(network, images, [layer(OUTPUT)], settings=still, preprocess=preprocess)
    return torch.stack([one.image for one in made])


def random_twin(network: nn.Module, images: Tensor, *, preprocess: Preprocess, seed: int = 0) -> nn.Module:
    """The same architecture with weights drawn anew, its BatchNorm statistics measured on the images.

    Without those statistics the control would see signals of a size that no trained network sees.

    Args:
        network: any network; it is copied and left as it was.
        images: (N, 3, H, W) in [0, 1], at least two.
        preprocess: that of the trained network.
        seed: start of the weights' random numbers; the global generator is left alone.
    """
    twin = copy.deepcopy(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin.apply(_draw_weights)  # children first: a network that draws its own has the last word
    with torch.no_grad(), fresh_statistics(twin):
        twin(as_seen(images, preprocess))
    return twin


def _draw_weights(module: nn.Module) -> None:
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()


def as_seen(images: Tensor, preprocess: Preprocess) -> Tensor:
    """Images in [0, 1] of any size as the network sees them in use: its crop, its size, normalised."""
    stored = pictures.fit(images, STORED, STORED)
    return preprocess.normalise(preprocess.fit(stored))


def probabilities(
    network: nn.Module, images: Tensor, *, preprocess: Preprocess, temperature: float = 1.0
) -> Tensor:
    """Class probabilities (N, classes), at a temperature, of images in [0, 1] of any size."""
    return judge(network, as_seen(images, preprocess), temperature=temperature).float()


def objective_value(
    network: nn.Module, images: Tensor, objective: Objective, *, preprocess: Preprocess
) -> Tensor:
    """The objective (N,) at images in [0, 1], at their own size."""
    tap = Tap(network, objective.layers)
    with torch.no_grad():
        return torch.cat([objective.value(tap(preprocess.normalise(image[None]))) for image in images])


def footprint(image: np.ndarray) -> np.ndarray:
    """Where the central galaxy is.

    Args:
        image: (H, W, 3) in [0, 1].

    Returns:
        (H, W) bool: the connected bright region on or nearest to the centre, holes filled; all `False` where
        nothing is bright. After a blur of 1/128 of the width, whatever lies `BRIGHT` times the sky's scatter
        above its median is bright.
    """
    grey = image.mean(axis=2)
    height, width = grey.shape
    blurred = ndimage.gaussian_filter(grey, width / 128)
    sky = np.median(blurred)
    below = blurred[blurred <= sky]
    scatter = 1.4826 * np.median(np.abs(below - sky))
    radius = max(1, width // 64)
    bright = blurred > sky + max(BRIGHT * scatter, 0.02)
    # Cuts the bridges to neighbours, and stars on the rim off.
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    opened = ndimage.binary_opening(bright, np.hypot(y, x) <= radius)
    regions, count = ndimage.label(opened if opened.any() else bright)
    if not count:
        return np.zeros_like(bright)
    y, x = np.mgrid[:height, :width]
    away = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    nearest = min(range(1, count + 1), key=lambda number: away[regions == number].min())
    return ndimage.binary_fill_holes(regions == nearest)


def change_spectrum(change: np.ndarray) -> tuple[np.ndarray, float]:
    """Where in scale a change lies.

    Args:
        change: (H, W, 3) dream minus reference.

    Returns:
        power (K,) at 0, 1, 2, ... cycles per image width, summed over each ring and normalised to sum 1; and
        its mean frequency, in cycles per image width.
    """
    centred = change - change.mean(axis=(0, 1))
    height, width = change.shape[:2]
    power = (np.abs(np.fft.rfft2(centred, axes=(0, 1))) ** 2).sum(axis=2)
    power[:, 1 : (width + 1) // 2] *= 2  # the columns that `rfft2` leaves out
    k = frequencies(height, width).numpy()
    rings = np.bincount(np.rint(k).astype(int).ravel(), power.ravel())
    total = power.sum()
    if total == 0:
        return rings, float("nan")
    return rings / total, float((k * power).sum() / total)


def motif(change: np.ndarray) -> tuple[float, float]:
    """How much a change repeats itself.

    The change's autocorrelation, averaged over directions, falls from 1; a texture of cells or rings makes it
    swing back up at the distance of a neighbour, a change without motif does not.

    Returns:
        height of that second maximum (0 where there is none), and its distance in image widths.
    """
    grey = change.mean(axis=2)
    grey = grey - grey.mean()
    height, width = grey.shape
    padded = np.fft.rfft2(grey, s=(2 * height, 2 * width))  # no wrapping round
    correlation = np.fft.irfft2(np.abs(padded) ** 2, s=(2 * height, 2 * width))
    overlap = np.fft.irfft2(np.abs(np.fft.rfft2(np.ones_like(grey), s=(2 * height, 2 * width))) ** 2)
    reach = min(height, width) // 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    values = correlation[y, x] / np.maximum(overlap[y, x], 1)
    if values[reach, reach] <= 0:
        return 0.0, float("nan")
    ring = np.rint(np.hypot(y, x)).astype(int)
    keep = ring <= reach
    profile = np.bincount(ring[keep], values[keep]) / np.bincount(ring[keep]) / values[reach, reach]
    falling = np.flatnonzero(np.diff(profile) > 0)
    if not falling.size:
        return 0.0, float("nan")
    lowest = falling[0]
    peak = lowest + int(np.argmax(profile[lowest:]))
    return float(profile[peak] - profile[lowest]), peak / width


def spectrum_distance(image: np.ndarray, prior: Prior | None = None) -> float:
    """How far an image's spectrum is from that of galaxies.

    Returns:
        root mean square of the decimal logarithm of the amplitudes' ratio, in dex, over 1 to 128 cycles per
        image width (or up to half the pixels), every octave counting the same. Images in [0, 1], (H, W, 3).
    """
    prior = prior or Prior.load()
    found = radial_amplitude(image[None])[0]
    top = min(len(found), len(prior.amplitude)) - 1
    k = np.arange(1, top + 1)
    ratio = np.log10(np.maximum(found[1 : top + 1], 1e-12) / prior.amplitude[1 : top + 1])
    return float(np.sqrt(np.average(ratio**2, weights=1 / k)))


def fourier_modes(image: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Bar and arms by the light's harmonics round the galaxy.

    Args:
        image: (H, W, 3) in [0, 1].
        mask: (H, W) bool, the galaxy's footprint.

    Returns:
        `bar`: the largest amplitude of the second harmonic, relative to the mean light, within half of the
        galaxy's radius; `arms`: the mean of the second harmonic's amplitude in the outer half. No inclination
        is taken out, so an edge-on galaxy has a large `bar`: compare before with after.
    """
    if mask.sum() < 20:
        return {"bar": float("nan"), "arms": float("nan")}
    light = light_of(image, mask)
    total = light.sum()
    if total == 0:
        return {"bar": float("nan"), "arms": float("nan")}
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    centre = (light * y).sum() / total, (light * x).sum() / total
    outer = np.sqrt(mask.sum() / np.pi)
    radii = np.linspace(0.05, 1, 40) * outer
    theta = np.arange(ANGLES) * 2 * np.pi / ANGLES
    rings = ndimage.map_coordinates(
        light,
        [
            centre[0] + radii[:, None] * np.sin(theta)[None],
            centre[1] + radii[:, None] * np.cos(theta)[None],
        ],
        order=1,
    )
    modes = np.abs(np.fft.rfft(rings, axis=1))
    second = 2 * modes[:, 2] / np.maximum(modes[:, 0], 1e-9)
    inner = radii <= outer / 2
    return {"bar": float(second[inner].max()), "arms": float(second[~inner].mean())}


MORPHOLOGY: dict[str, str] = {
    "concentration": "concentration",
    "asymmetry": "asymmetry",
    "smoothness": "smoothness",
    "gini": "gini",
    "m20": "m20",
}
"""Our names of the measures, and statmorph's attributes."""


def morphology(image: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Concentration, asymmetry, smoothness, Gini and M20 of the central galaxy, by statmorph.

    Measured on the mean of the channels at a width of 128 pixels, which is quick and blurs single pixels. The
    images are stretched, so the values compare a dream with its reference and are no photometry.

    Returns:
        the five measures; all NaN where statmorph is not installed or finds no galaxy.
    """
    nothing = dict.fromkeys(MORPHOLOGY, float("nan"))
    try:
        import statmorph
    except ModuleNotFoundError:
        return nothing
    width = 128
    height = round(width * image.shape[0] / image.shape[1])
    tensor = torch.from_numpy(np.ascontiguousarray(image.mean(axis=2))).float()[None, None]
    grey = pictures.fit(tensor, height, width)[0, 0].double().numpy()
    region = pictures.fit(torch.from_numpy(mask).float()[None, None], height, width)[0, 0].numpy() > 0.5
    if region.sum() < 30 or region.all():
        return nothing
    sky = grey[~region]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = statmorph.SourceMorphology(
                grey - np.median(sky),
                ndimage.label(region)[0].clip(0, 1),
                label=1,
                weightmap=np.full_like(grey, max(float(sky.std()), 1e-4)),
                skybox_size=16,
                sersic_maxiter=1,
            )
            return {name: float(getattr(found, attribute)) for name, attribute in MORPHOLOGY.items()}
        except (ValueError, IndexError, AssertionError, ZeroDivisionError):
            return nothing


def describe(
    image: np.ndarray, mask: np.ndarray, *, prior: Prior | None = None, measure: bool = True
) -> dict[str, float]:
    """What one image (H, W, 3) looks like: `spectrum_distance`, `bar`, `arms` and, if asked, `morphology`."""
    found = {"spectrum_distance": spectrum_distance(image, prior), **fourier_modes(image, mask)}
    return found | morphology(image, mask) if measure else found


def measure_change(
    dreamed: np.ndarray, reference: np.ndarray, *, mask: np.ndarray | None = None
) -> dict[str, float]:
    """What one dream changed.

    Args:
        dreamed: (H, W, 3) the dream, in [0, 1].
        reference: (H, W, 3) the same image without a step, in [0, 1].
        mask: (H, W) bool, the galaxy's footprint; found in the reference where none is given.

    Returns:
        `change_rms`; `change_frequency` (cycles per image width); `motif` and `motif_distance` (image
        widths); `inside_share` of the squared change inside the galaxy's footprint, `footprint_share` of the
        image that the footprint takes, and `focus`, the first over the second.
    """
    change = dreamed - reference
    mask = footprint(reference) if mask is None else mask
    energy = (change**2).sum(axis=2)
    inside, area = float(energy[mask].sum() / max(energy.sum(), 1e-30)), float(mask.mean())
    repeat, distance = motif(change)
    return {
        "change_rms": float(np.sqrt((change**2).mean())),
        "change_frequency": change_spectrum(change)[1],
        "motif": repeat,
        "motif_distance": float(distance),
        "inside_share": inside,
        "footprint_share": area,
        "focus": inside / area if area else float("nan"),
    }
