"""Small companions for the tests of training: blobs with soft, partial and no labels."""

import numpy as np

from galaxylib.training.companions import Companions, Source


def drawn_companions(count=24, *, seed=0, side=256, labelled=True):
    """Three sources in turn: soft labels, groups of two or three classes, and nothing known (never drawn)."""
    generator = np.random.default_rng(seed)
    source = np.arange(count) % 3
    targets = np.zeros((count, 10), np.float32)
    targets[source == 0] = generator.dirichlet(np.ones(10), (source == 0).sum())
    for row in np.flatnonzero(source == 1):
        targets[row, generator.choice(10, int(generator.integers(2, 4)), replace=False)] = 1
    known = (source < 2) & labelled
    noise = generator.normal(60, 20, (count, side // 8, side // 8, 3)).clip(0, 255).astype(np.uint8)
    return Companions(
        images=noise.repeat(8, 1).repeat(8, 2),
        targets=targets if labelled else np.zeros_like(targets),
        partial=(source == 1) & labelled,
        chance=np.where(known, generator.uniform(0.5, 2, count), 0),
        measured=np.ones(count, bool),
        source=source,
        sources=(Source("one", "votes"), Source("two", "coarse classes"), Source("three", "none")),
    )
