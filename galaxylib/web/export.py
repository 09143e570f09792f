"""From a checkpoint to the folder that the lab's engine opens: gradient graphs, weights, description."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from galaxylib.data.preprocessing import Preprocess
from galaxylib.evaluation.unlike import Reference
from galaxylib.files import filling, sha256, write_json
from galaxylib.networks.checkpoint import Loaded, load
from galaxylib.networks.concepts import Concept
from galaxylib.networks.registry import NETWORKS
from galaxylib.web.score_graph import write_score
from galaxylib.web.store import WEIGHTS
from galaxylib.web.tape import OPSET, Tape, Value
from galaxylib.web.trace import Network

FORMAT = 1
DESCRIPTION = "network.json"
IMAGE = (1, 3, "height", "width")


def export_web(checkpoint: str | Path | Loaded, out: str | Path) -> Path:
    """Write what a page needs to dream on a network: no Python, no PyTorch.

    Kernels and matrices are stored in half precision, which loses nothing of a checkpoint that is shipped
    (`galaxylib.networks.checkpoint.halve`) and rounds another; the arithmetic is in single precision.

    Args:
        checkpoint: a folder that `galaxylib train` wrote, `"pretrained"` or `"small"`, or one already loaded.
        out: the folder to write: a new one, or that of an earlier export, where the reader's own files stay.

    Returns:
        `out`, with `network.json`, `weights.bin` and the graphs: one for each stage of the network, one for
        its logits, and `forward.onnx` from image to logits and, where the checkpoint has a reference, to the
        score for being unlike the images of its training. The concepts that `galaxylib probe` left in the
        checkpoint's folder stand in `network.json`; of a network that is not in the registry their stages
        are those that are written.

    Raises:
        CheckpointError: there is no whole checkpoint, or its concepts are damaged or another network's.
        GalaxyError: the network does something that no rule is there for, the folder holds other things than
            an export or cannot be written, or the disk is full.
    """
    out = Path(out)
    with filling(out) as folder:
        loaded = checkpoint if isinstance(checkpoint, Loaded) else load(checkpoint)
        entry = NETWORKS.get(loaded.meta["network"])
        learned = loaded.concepts.best() if loaded.concepts.there else []
        stages = entry.stages if entry else tuple(dict.fromkeys(one.stage for one in learned))
        dreamable = _dreamable(loaded.network, stages)
        concepts = loaded.concepts.best(dreamable) if learned else []
        reference = None if loaded.reference is None else Reference.from_arrays(loaded.reference)
        compared = reference.stages if reference else ()
        network = Network(loaded.network, tuple(dict.fromkeys((*dreamable, *compared))))
        graphs = {}
        for stage in (*dreamable, "logits"):
            model, channels = gradient_graph(network, loaded.preprocess, stage)
            graphs[stage] = {"file": f"{stage}.onnx", "channels": channels}
            (folder / f"{stage}.onnx").write_bytes(model.SerializeToString(deterministic=True))
        model = forward_graph(network, loaded.preprocess, temperature=loaded.temperature, reference=reference)
        (folder / "forward.onnx").write_bytes(model.SerializeToString(deterministic=True))
        (folder / WEIGHTS).write_bytes(network.store.content)
        write_json(folder / DESCRIPTION, _describe(loaded, graphs, concepts, folder))
    return out


def _dreamable(network: nn.Module, stages: tuple[str, ...]) -> list[str]:
    """The stages whose output is not the network's own."""
    last = list(dict(network.named_children()))[-1:]
    return [stage for stage in stages if stage not in last]


def _describe(
    loaded: Loaded, graphs: dict[str, dict[str, Any]], concepts: list[Concept], folder: Path
) -> dict[str, Any]:
    def stored(name: str) -> dict[str, Any]:
        return {"file": name, "bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}

    meta = loaded.meta
    return {
        "format": FORMAT,
        "name": meta["network"],
        "options": meta["options"],
        "parameters": sum(parameter.numel() for parameter in loaded.network.parameters()),
        **asdict(loaded.preprocess),
        "class_names": list(loaded.class_names),
        "accuracy": meta.get("results") or meta.get("best") or {},
        "simulated": meta.get("data", {}).get("simulated"),
        "weights": stored(WEIGHTS),
        "graphs": {stage: about | stored(about["file"]) for stage, about in graphs.items()},
        "forward": stored("forward.onnx"),
        "concepts": [
            {
                "name": one.name,
                "stage": one.stage,
                "r2": round(one.read_out.r2, 2),
                "vector": _unit(one.read_out.vector),
            }
            for one in concepts
        ],
        "checkpoint_sha256": meta["sha256"],
        "opset": OPSET,
    }


def _unit(vector: tuple[float, ...]) -> list[float]:
    """A vector of length 1 along another, with the four digits that a page needs."""
    return [float(f"{number:.4g}") for number in np.array(vector) / np.linalg.norm(vector)]


def gradient_graph(network: Network, preprocess: Preprocess, stage: str) -> tuple[onnx.ModelProto, int]:
    """The graph that a dream on one stage runs at every step.

    Its inputs are `image` (1, 3, H, W) in [0, 1] and the weights `square` and `linear` (C,) of the stage's
    channels. Its outputs are `value`, the sum over channels of `square mean(a^2) + linear mean(a)` over the
    pixels of the activation a; `gradient` (1, 3, H, W), of the value by the image; and `activation` (C,), the
    means of a. So the paper's objective is `square = 1 / C`, and a channel's is `linear` one-hot.

    Returns:
        the graph, and its number of channels C.
    """
    tape = Tape(network.store)
    image = Value("image", 3)
    end = network.write(tape, _normalised(tape, image, preprocess), stage)[stage]
    means, squares = end.name, tape.node("Mul", [end.name, end.name])
    square, linear = "square", "linear"
    if end.rank == 4:
        sides, column = tape.constant([2, 3]), tape.constant([-1, 1, 1])
        means, squares = (tape.node("ReduceMean", [x, sides], keepdims=0) for x in (means, squares))
        square, linear = (tape.node("Reshape", [name, column]) for name in (square, linear))
    value = tape.node("Add", [tape.node("Mul", [squares, "square"]), tape.node("Mul", [means, "linear"])])
    tape.nodes.append(_named("ReduceSum", [value], "value", keepdims=0))
    tape.nodes.append(_named("Reshape", [means, tape.constant([-1])], "activation"))
    twice = tape.node("Mul", [tape.constant(2.0), square])
    seed = tape.node("Add", [tape.node("Mul", [twice, end.name]), linear])
    if end.rank == 4:
        seed = tape.node("Div", [seed, tape.pixels(end)])
    tape.nodes.append(_named("Identity", [tape.gradient(end, seed, image)], "gradient"))
    weights = {"square": [end.channels], "linear": [end.channels]}
    outputs = {"value": [], "gradient": IMAGE, "activation": [end.channels]}
    return tape.model({"image": IMAGE} | weights, outputs), end.channels


def forward_graph(
    network: Network,
    preprocess: Preprocess,
    *,
    temperature: float = 1.0,
    reference: Reference | None = None,
) -> onnx.ModelProto:
    """The graph from `image` (1, 3, H, W) in [0, 1] to `logits` (1, classes), divided by the temperature.

    With a reference, a second output `unlike` (1,) is the score for being unlike the images of the training.
    """
    tape = Tape(network.store)
    compared = tuple(reference.stages) if reference else ()
    ends = network.write(tape, _normalised(tape, Value("image", 3), preprocess), *compared, "logits")
    end = ends["logits"]
    if temperature == 1:
        tape.nodes.append(_named("Identity", [end.name], "logits"))
    else:
        tape.nodes.append(_named("Div", [end.name, tape.constant(temperature)], "logits"))
    outputs = {"logits": [1, end.channels]}
    if reference:
        tape.nodes.append(_named("Identity", [write_score(network, tape, reference, ends)], "unlike"))
        outputs["unlike"] = [1]
    return tape.model({"image": IMAGE}, outputs)


def _normalised(tape: Tape, image: Value, preprocess: Preprocess) -> Value:
    mean, std = (torch.tensor(numbers, dtype=torch.float64) for numbers in (preprocess.mean, preprocess.std))
    scale, shift = ((number.view(3, 1, 1)).numpy() for number in (1 / std, -mean / std))
    return tape.scale_shift(image, tape.constant(scale), tape.constant(shift))


def _named(operator: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return onnx.helper.make_node(operator, inputs, [output], **attributes)
