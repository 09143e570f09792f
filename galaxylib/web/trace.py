"""From a PyTorch network to operations on a tape: followed by torch.fx, each BatchNorm folded if possible.

A network can be exported when everything that it does stands in `OPERATORS`, in plain `torch.nn` modules or
as the functions and methods named there.
"""

import operator
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from galaxylib.errors import GalaxyError
from galaxylib.web.store import Store
from galaxylib.web.tape import Tape, Value

OPERATORS = (
    "Conv2d", "BatchNorm2d", "ReLU", "Sigmoid", "MaxPool2d", "AdaptiveAvgPool2d(1)", "Linear", "Flatten",
    "Dropout", "Identity", "+", "*", "cat(dim=1)", "chunk(dim=1)", "mean((2, 3))",
)  # fmt: skip
"""What a network may consist of; inside `nn.Sequential` or its own modules, at any depth."""


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, nn.Conv2d) or super().is_leaf_module(module, name)


class Network:
    """A network taken apart: its operations in order, and its weights in a store.

    Args:
        network: in evaluation mode, on the CPU.
        stages: dotted names of submodules whose outputs are wanted; each must run.

    Raises:
        GalaxyError: the network's way depends on its data, or it never runs a stage.
    """

    def __init__(self, network: nn.Module, stages: Collection[str]) -> None:
        self.network, self.store = network, Store()
        try:
            self.graph = _Tracer().trace(network)
        except (fx.proxy.TraceError, TypeError, RuntimeError) as fault:
            raise GalaxyError(
                f"The network cannot be followed from image to logits ({fault}): its way must not depend on "
                "what the image holds."
            ) from fault
        self.ends = {stage: self._end(stage) for stage in stages}
        (output,) = (node for node in self.graph.nodes if node.op == "output")
        self.ends["logits"] = output.args[0]
        self.folded = self._fold(keep=set(self.ends.values()))

    def _end(self, stage: str) -> fx.Node:
        inside = [
            node
            for node in self.graph.nodes
            if any(path == stage for path, _ in node.meta.get("nn_module_stack", {}).values())
        ]
        if not inside:
            raise GalaxyError(f"The network never runs its stage {stage}: choose one that it uses.")
        return inside[-1]

    def _fold(self, *, keep: set[fx.Node]) -> dict[fx.Node, tuple[Tensor, Tensor]]:
        """Scale and shift that each convolution takes over from the BatchNorm behind it.

        A BatchNorm behind a `cat` of convolutions is divided between them. What others listen to is kept.
        """
        folded = {}
        for norm in self.graph.nodes:
            if not isinstance(self._module(norm), nn.BatchNorm2d):
                continue
            source = norm.args[0]
            parts = list(source.args[0]) if source.target is torch.cat else [source]
            between = {source, *parts}
            convs = all(isinstance(self._module(part), nn.Conv2d) for part in parts)
            if convs and not between & keep and all(len(node.users) == 1 for node in between):
                sizes = [self._module(part).out_channels for part in parts]
                scale, shift = scale_and_shift(self._module(norm))
                halves = zip(parts, scale.split(sizes), shift.split(sizes), strict=True)
                folded |= {part: (own_scale, own_shift) for part, own_scale, own_shift in halves}
                folded[norm] = ()
        return folded

    def _module(self, node: fx.Node) -> nn.Module | None:
        return self.network.get_submodule(node.target) if node.op == "call_module" else None

    def write(self, tape: Tape, image: Value, *ends: str) -> dict[str, Value]:
        """Write the network's operations up to the outputs of stages, or the logits.

        Args:
            tape: made on this network's store.
            image: (1, 3, H, W), normalised.
            ends: the stages whose outputs are wanted, or `"logits"`.

        Returns:
            the value of each end.

        Raises:
            GalaxyError: an operation has no rule; the sentence names it.
        """
        values: dict[fx.Node, Any] = {}
        needed = set().union(*(_before(self.ends[end]) for end in ends))
        for node in self.graph.nodes:
            if node.op == "placeholder":
                values[node] = image
            elif node in needed:
                values[node] = self._step(tape, node, values)
        return {end: values[self.ends[end]] for end in ends}

    def _step(self, tape: Tape, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
        arguments = fx.map_arg(node.args, values.__getitem__)
        options = fx.map_arg(node.kwargs, values.__getitem__)
        if node.op == "call_module":
            module = self._module(node)
            for kind, rule in MODULES.items():
                if isinstance(module, kind):
                    return rule(self, tape, node, module, arguments[0])
            raise _unknown(type(module).__name__)
        if node.op not in ("call_function", "call_method") or node.target not in FUNCTIONS:
            raise _unknown(getattr(node.target, "__name__", str(node.target)))
        try:
            return FUNCTIONS[node.target](tape, *arguments, **options)
        except (TypeError, AttributeError) as fault:
            raise _unknown(f"{getattr(node.target, '__name__', node.target)} with {node.args[1:]}") from fault

    def weight(self, tape: Tape, name: str, tensor: Tensor, *, half: bool = False) -> str:
        """An array as an input of nodes; with `half` it is stored in half precision if its range allows."""
        array = tensor.detach().float().numpy()
        if half and np.abs(array).max(initial=0) < np.finfo(np.float16).max:
            array = array.astype(np.float16)
        self.store.add(name, array)
        return tape.weight(name)

    def conv(self, tape: Tape, node: fx.Node, layer: nn.Conv2d, x: Value) -> Value:
        """A convolution, with the BatchNorm behind it folded in where there is one."""
        if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
            raise _unknown(f"Conv2d with padding {layer.padding!r} of {layer.padding_mode}")
        name = str(node.target)
        weight, bias = self.weight(tape, f"{name}.weight", layer.weight, half=True), layer.bias
        if node in self.folded:
            scale, shift = self.folded[node]
            bias = shift if bias is None else shift + scale * bias
            # Scaled when the graph loads, so that the file holds the very weights of the checkpoint.
            scale = self.weight(tape, f"{name}.scale", scale.view(-1, 1, 1, 1))
            weight = tape.once("Mul", [weight, scale])
        bias = None if bias is None else self.weight(tape, f"{name}.bias", bias)
        place = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
        return tape.conv(x, weight, bias, shape=tuple(layer.weight.shape), groups=layer.groups, **place)

    def norm(self, tape: Tape, node: fx.Node, layer: nn.BatchNorm2d, x: Value) -> Value:
        """A BatchNorm that could not be folded, or nothing where it was."""
        if node in self.folded:
            return x
        parts = zip(("scale", "shift"), scale_and_shift(layer), strict=True)
        names = [self.weight(tape, f"{node.target}.{part}", value.view(-1, 1, 1)) for part, value in parts]
        return tape.scale_shift(x, *names)

    def linear(self, tape: Tape, node: fx.Node, layer: nn.Linear, x: Value) -> Value:
        """A linear layer."""
        weight = self.weight(tape, f"{node.target}.weight", layer.weight, half=True)
        bias = None if layer.bias is None else self.weight(tape, f"{node.target}.bias", layer.bias)
        return tape.linear(x, weight, bias, outputs=layer.out_features)


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a BatchNorm in evaluation does to each channel, (C,) both.

    Raises:
        GalaxyError: it keeps no statistics, so it would depend on the batch.
    """
    if norm.running_var is None:
        raise _unknown("BatchNorm2d without running statistics")
    weight = torch.ones_like(norm.running_var) if norm.weight is None else norm.weight.detach()
    bias = torch.zeros_like(norm.running_var) if norm.bias is None else norm.bias.detach()
    scale = weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, bias - norm.running_mean * scale


def _unknown(what: str) -> GalaxyError:
    return GalaxyError(f"A page cannot dream on {what}: a network for export may use {', '.join(OPERATORS)}.")


def _before(node: fx.Node) -> set[fx.Node]:
    """A node and all that it needs."""
    found, waiting = set(), [node]
    while waiting:
        now = waiting.pop()
        if now not in found:
            found.add(now)
            waiting.extend(now.all_input_nodes)
    return found


def _pair(sides: int | tuple[int, int]) -> tuple[int, int]:
    return (sides, sides) if isinstance(sides, int) else tuple(sides)


def _max_pool(tape: Tape, layer: nn.MaxPool2d, x: Value) -> Value:
    if layer.ceil_mode or _pair(layer.dilation) != (1, 1):
        raise _unknown("MaxPool2d with ceil_mode or dilation")
    kernel, stride, padding = map(_pair, (layer.kernel_size, layer.stride, layer.padding))
    return tape.max_pool(x, kernel=kernel, stride=stride, padding=padding)


def _average(tape: Tape, layer: nn.AdaptiveAvgPool2d, x: Value) -> Value:
    if layer.output_size not in (1, (1, 1)):
        raise _unknown(f"AdaptiveAvgPool2d({layer.output_size})")
    return tape.mean(x, keep=True)


def _mean(tape: Tape, x: Value, dim: tuple[int, int], keepdim: bool = False) -> Value:
    if tuple(dim) not in ((2, 3), (-2, -1)):
        raise _unknown(f"mean({dim})")
    return tape.mean(x, keep=keepdim)


def _cat(tape: Tape, parts: list[Value], dim: int = 0) -> Value:
    if dim != 1:
        raise _unknown(f"cat(dim={dim})")
    return tape.cat(parts)


def _chunk(tape: Tape, x: Value, count: int, dim: int = 0) -> list[Value]:
    if dim != 1 or x.channels % count:
        raise _unknown(f"chunk({count}, dim={dim}) of {x.channels} channels")
    return tape.chunk(x, count)


def _flatten(tape: Tape, x: Value, start: int = 1) -> Value:
    if start != 1:
        raise _unknown(f"flatten({start})")
    return tape.flatten(x)


Rule = Callable[[Network, Tape, fx.Node, Any, Value], Value]
MODULES: dict[type[nn.Module], Rule] = {
    nn.Conv2d: Network.conv,
    nn.BatchNorm2d: Network.norm,
    nn.Linear: Network.linear,
    nn.ReLU: lambda _network, tape, _node, _layer, x: tape.relu(x),
    nn.Sigmoid: lambda _network, tape, _node, _layer, x: tape.sigmoid(x),
    nn.MaxPool2d: lambda _network, tape, _node, layer, x: _max_pool(tape, layer, x),
    nn.AdaptiveAvgPool2d: lambda _network, tape, _node, layer, x: _average(tape, layer, x),
    nn.Flatten: lambda _network, tape, _node, layer, x: _flatten(tape, x, layer.start_dim),
    nn.Dropout: lambda _network, _tape, _node, _layer, x: x,
    nn.Identity: lambda _network, _tape, _node, _layer, x: x,
}
FUNCTIONS: dict[Any, Callable[..., Any]] = {
    operator.add: Tape.add,
    operator.iadd: Tape.add,
    torch.add: Tape.add,
    operator.mul: Tape.mul,
    torch.mul: Tape.mul,
    torch.cat: _cat,
    torch.flatten: _flatten,
    F.relu: lambda tape, x, **_options: tape.relu(x),
    operator.getitem: lambda _tape, parts, number: parts[number],
    "chunk": _chunk,
    "mean": _mean,
    "flatten": _flatten,
}
