"""Concepts written by hand beside a checkpoint, as `galaxylib probe` leaves them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from galaxylib.networks.concepts import ReadOut, write
from galaxylib.networks.inspection import stage_outputs

FIGURES = {"galaxies": 50, "low": 0.3, "high": 0.9, "control": 0.0, "gain": 0.6, "gain_low": 0.3}


def write_concepts(
    folder: Path, network: nn.Module, sha256: str, found: Mapping[str, Mapping[str, float]]
) -> Path:
    """Write directions at random of the properties in each stage, each with the share that it explains."""
    outputs = stage_outputs(network, torch.zeros(1, 3, 64, 64), stages=tuple(found))
    generator = np.random.default_rng(7)
    stages: dict[str, dict[str, object]] = {}
    for stage, properties in found.items():
        channels = outputs[stage].shape[1]
        stages[stage] = {}
        for name, r2 in properties.items():
            vector = generator.normal(size=channels)
            read_out = ReadOut(r2=r2, vector=tuple(vector / np.linalg.norm(vector)), scale=1.0, **FIGURES)
            stages[stage][name] = read_out.to_dict()
    return write(
        folder,
        {
            "sha256": sha256,
            "data": {"fingerprint": "x", "galaxies": 50, "simulated": True},
            "divisions": 1,
            "twins": 1,
            "stages": stages,
        },
    )
