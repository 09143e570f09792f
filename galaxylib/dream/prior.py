"""Measure what galaxy images look like on average: `python -m galaxylib.dream.prior FILE`.

The `prior.npz` that ships with the library was made by this script from galaxies drawn with
`galaxylib simulate --n 1000 --seed 0`; simulated ones, because real images may not be passed on.
"""

import argparse
from pathlib import Path

import numpy as np

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.dream.images import Prior, frequencies
from galaxylib.files import atomic


def radial_amplitude(images: np.ndarray) -> np.ndarray:
    """Root mean square Fourier amplitude in rings of one cycle per image width.

    Args:
        images: (N, H, W, 3) values in [0, 1].

    Returns:
        (N, K) for 0, 1, 2, ... cycles per width up to half the number of pixels; the channels are averaged,
        their mean colour taken away, and amplitudes are divided by the number of pixels.
    """
    height, width = images.shape[1:3]
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    power = (np.abs(np.fft.rfft2(centred, axes=(1, 2))) / (height * width)) ** 2
    ring = np.rint(frequencies(height, width).numpy()).astype(int)
    # A real image's spectrum is symmetric: each column but the first and last stands for two.
    count = np.full(ring.shape, 2.0)
    count[:, 0] = 1
    if width % 2 == 0:
        count[:, -1] = 1
    size = min(height, width) // 2 + 1
    keep = ring < size
    weight = np.bincount(ring[keep], count[keep], minlength=size)
    mean = power.mean(axis=-1)
    sums = np.stack([np.bincount(ring[keep], (p * count)[keep], minlength=size) for p in mean])
    return np.sqrt(sums / weight)


def measure(images: np.ndarray, *, source: str) -> Prior:
    """The prior of some galaxies, (N, H, W, 3) in [0, 1].

    The covariance of the colours is that of the pixels, over all galaxies.
    """
    pixels = images.reshape(-1, 3).astype(np.float64)
    amplitude = np.sqrt((radial_amplitude(images) ** 2).mean(axis=0))
    # At zero frequency the images were centred: go on with the next ring.
    amplitude[0] = amplitude[1]
    return Prior(amplitude=amplitude, colour=np.cov(pixels.T), mean=pixels.mean(axis=0), source=source)


def main() -> None:
    """Measure a file's galaxies and write `prior.npz` beside this script."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("data", help="path of a Galaxy10 HDF5 file")
    parser.add_argument("--n", type=int, default=1000, help="how many galaxies to measure")
    args = parser.parse_args()
    with Galaxy10(args.data) as data:
        rows = np.arange(min(args.n, len(data)))
        kind = "simulated" if data.simulated else "real"
        prior = measure(data.read(rows) / np.float32(255), source=f"{len(rows)} {kind} galaxies")
    with atomic(Path(__file__).with_name("prior.npz")) as partial, partial.open("wb") as stream:
        np.savez_compressed(
            stream, amplitude=prior.amplitude, colour=prior.colour, mean=prior.mean, source=prior.source
        )


if __name__ == "__main__":
    main()
