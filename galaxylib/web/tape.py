"""ONNX graphs that hold a network's forward pass and, written behind it, the gradient of its image.

Every operation writes its forward nodes at once and leaves behind a function that writes its backward ones;
`Tape.gradient` calls these in reverse order. Nothing is traced or exported: what a graph holds is what stands
here. Height and width stay open, so that one graph reads images of any size.

All values have a batch of one. Backward rules are the textbook's; the comments say where ONNX needs a detour.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from galaxylib.errors import GalaxyError
from galaxylib.web.store import Store

OPSET, IR = 18, 9


@dataclass(frozen=True)
class Value:
    """A tensor in the graph.

    Attributes:
        name: the tensor's name in the graph.
        channels: length of its second axis.
        rank: 4 for (1, C, H, W), 2 for (1, C).
        point: whether a tensor of rank 4 has one pixel only, as gates have.
    """

    name: str
    channels: int
    rank: int = 4
    point: bool = False


class Tape:
    """One graph on its way.

    Args:
        store: of the weights that the graph shares with others.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.nodes: list[onnx.NodeProto] = []
        self.small: dict[str, TensorProto] = {}
        self.used: dict[str, None] = {}
        self._ready: dict[tuple, str] = {}
        self._backward: list[Callable[[], None]] = []
        self._gradients: dict[str, list[str]] = {}

    # Nodes and constants.

    def node(self, operator: str, inputs: Sequence[str], *, outputs: int = 1, **attributes: object) -> str:
        """Write a node; returns the name of its first output, the others end in `_1`, `_2`, ..."""
        name = f"v{len(self.nodes)}"
        names = [name, *(f"{name}_{i}" for i in range(1, outputs))]
        self.nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return name

    def constant(self, array: float | Sequence[int] | np.ndarray) -> str:
        """A small array that lies in the graph itself; numbers become float32, whole ones int64."""
        array = np.asarray(array)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        tensor = numpy_helper.from_array(array)
        key = f"c{array.dtype.char}{array.shape}{array.tobytes().hex()}"
        if key not in self.small:
            tensor.name = f"c{len(self.small)}"
            self.small[key] = tensor
        return self.small[key].name

    def weight(self, name: str) -> str:
        """An array of the store in single precision; what is stored in half is cast when the graph loads."""
        if name not in self.used:
            self.used[name] = None
        if self.store.places[name][1].dtype == np.float16:
            return self.once("Cast", [name], to=TensorProto.FLOAT)
        return name

    def once(self, operator: str, inputs: Sequence[str], **attributes: object) -> str:
        """The same as `node` for what several rules ask for: the second asker gets the first's."""
        key = (operator, *inputs, *sorted(attributes.items()))
        if key not in self._ready:
            self._ready[key] = self.node(operator, inputs, **attributes)
        return self._ready[key]

    def shape(self, value: Value) -> str:
        """The shape of a value, known when the graph runs."""
        return self.once("Shape", [value.name])

    def pixels(self, value: Value) -> str:
        """Number of pixels of a value of rank 4, as a scalar."""
        sides = self.once("Shape", [value.name], start=2)
        return self.once("Cast", [self.once("ReduceProd", [sides], keepdims=0)], to=TensorProto.FLOAT)

    # The way back.

    def give(self, value: Value, gradient: str) -> None:
        """Add to the gradient of a value."""
        self._gradients.setdefault(value.name, []).append(gradient)

    def take(self, value: Value) -> str | None:
        """The whole gradient of a value, or `None` where nothing depends on it."""
        parts = self._gradients.get(value.name, [])
        while len(parts) > 1:
            parts = [self.node("Add", parts[:2]), *parts[2:]]
        self._gradients[value.name] = parts
        return parts[0] if parts else None

    def behind(self, value: Value, rule: Callable[[str], None]) -> Value:
        """Keep the rule that passes the gradient of `value` on; returns `value`."""

        def write() -> None:
            gradient = self.take(value)
            if gradient is not None:
                rule(gradient)

        self._backward.append(write)
        return value

    def gradient(self, end: Value, seed: str, start: Value) -> str:
        """Write the way back from a gradient `seed` at `end`; the gradient at `start`.

        Raises:
            GalaxyError: `end` does not depend on `start`.
        """
        self.give(end, seed)
        while self._backward:
            self._backward.pop()()
        found = self.take(start)
        if found is None:
            raise GalaxyError("The network's output does not depend on its image, so nothing can be dreamed.")
        return found

    def matched(self, gradient: str, value: Value, result: Value) -> str:
        """Sum a gradient over the axes along which `value` was repeated to give `result`."""
        axes = [1] if value.channels < result.channels else []
        axes += [2, 3] if value.point and not result.point else []
        return self.node("ReduceSum", [gradient, self.constant(axes)], keepdims=1) if axes else gradient

    # Operations.

    def conv(
        self,
        x: Value,
        weight: str,
        bias: str | None,
        *,
        shape: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> Value:
        """A convolution of an array `weight` of shape (outputs, inputs / groups, height, width)."""
        inputs = [x.name, weight] + ([bias] if bias else [])
        place = {"strides": list(stride), "dilations": list(dilation), "group": groups}
        y = Value(self.node("Conv", inputs, pads=[*padding, *padding], **place), shape[0], point=x.point)
        reach = [step * (side - 1) for step, side in zip(dilation, shape[2:], strict=True)]
        around = [whole - pad for whole, pad in zip(reach, padding, strict=True)]
        depthwise = shape[1] == 1 and groups == shape[0]

        def plain(gradient: str) -> None:
            # Without a stride it is a convolution again, with the kernel turned by 180 degrees.
            turned = self.turned(weight, swap=not depthwise, turn=max(shape[2:]) > 1)
            self.give(x, self.node("Conv", [gradient, turned], pads=[*around, *around], **place))

        def strided(gradient: str) -> None:
            self.give(x, self.spread(gradient, weight, x, pads=[*padding, *padding], **place))

        simple = max(stride) == 1 and min(around) >= 0 and (groups == 1 or depthwise)
        return self.behind(y, plain if simple else strided)

    def spread(self, gradient: str, weight: str, x: Value, *, strides: list[int], **place: object) -> str:
        """The transposed convolution, to the size of `x`.

        It is made as large as a stride may have cut off, then cut.
        """
        spare = [step - 1 for step in strides]
        wide = self.node("ConvTranspose", [gradient, weight], strides=strides, output_padding=spare, **place)
        if not any(spare):
            return wide
        sides = self.once("Shape", [x.name], start=2)
        return self.node("Slice", [wide, self.constant([0, 0]), sides, self.constant([2, 3])])

    def turned(self, weight: str, *, swap: bool, turn: bool) -> str:
        """A kernel for the way back: inputs and outputs swapped, turned by 180 degrees.

        The runtime computes both once, when it loads the graph: a file need not hold a kernel twice.
        """
        if swap:
            weight = self.once("Transpose", [weight], perm=(1, 0, 2, 3))
        if turn:
            ends = self.constant([-1, -1]), self.constant([-(2**31), -(2**31)])
            weight = self.once("Slice", [weight, *ends, self.constant([2, 3]), self.constant([-1, -1])])
        return weight

    def scale_shift(self, x: Value, scale: str, shift: str) -> Value:
        """`scale * x + shift`, both of shape (C, 1, 1): a BatchNorm in use."""
        y = Value(self.node("Add", [self.node("Mul", [x.name, scale]), shift]), x.channels, x.rank, x.point)
        return self.behind(y, lambda gradient: self.give(x, self.node("Mul", [gradient, scale])))

    def relu(self, x: Value) -> Value:
        """max(x, 0); at 0 the gradient is 0."""
        y = Value(self.node("Relu", [x.name]), x.channels, x.rank, x.point)

        def rule(gradient: str) -> None:
            self.give(x, self.node("Mul", [gradient, self.node("Sign", [y.name])]))

        return self.behind(y, rule)

    def sigmoid(self, x: Value) -> Value:
        """1 / (1 + exp(-x))."""
        y = Value(self.node("Sigmoid", [x.name]), x.channels, x.rank, x.point)

        def rule(gradient: str) -> None:
            slope = self.node("Mul", [y.name, self.node("Sub", [self.constant(1.0), y.name])])
            self.give(x, self.node("Mul", [gradient, slope]))

        return self.behind(y, rule)

    def add(self, a: Value, b: Value) -> Value:
        """The sum; a gate or a single channel is repeated as needed."""
        y = self._wider(self.node("Add", [a.name, b.name]), a, b)

        def rule(gradient: str) -> None:
            self.give(a, self.matched(gradient, a, y))
            self.give(b, self.matched(gradient, b, y))

        return self.behind(y, rule)

    def mul(self, a: Value, b: Value) -> Value:
        """The product; a gate or a single channel is repeated as needed."""
        y = self._wider(self.node("Mul", [a.name, b.name]), a, b)

        def rule(gradient: str) -> None:
            self.give(a, self.matched(self.node("Mul", [gradient, b.name]), a, y))
            self.give(b, self.matched(self.node("Mul", [gradient, a.name]), b, y))

        return self.behind(y, rule)

    def max_pool(
        self, x: Value, *, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
    ) -> Value:
        """The largest of each window; the gradient goes to the first that was."""
        place = {"strides": list(stride), "pads": [*padding, *padding]}
        y = Value(self.node("MaxPool", [x.name], kernel_shape=list(kernel), **place), x.channels)

        def rule(gradient: str) -> None:
            # Graphics cards have no max-pooling that tells where: so each window's pixels are laid side by
            # side, by a convolution with kernels of a single 1, and laid back the same way.
            count = kernel[0] * kernel[1]
            single = self.constant(np.eye(count).reshape(count, 1, *kernel))
            swap = {"perm": (1, 0, 2, 3)}
            planes, largest, given = (
                self.node("Transpose", [name], **swap) for name in (x.name, y.name, gradient)
            )  # (C, 1, H, W)
            laid = self.node("Conv", [planes, single], **place)  # (C, count, H', W')
            hit = self.node("Cast", [self.node("Equal", [laid, largest])], to=TensorProto.FLOAT)
            first = self.node("ArgMax", [hit], axis=1, keepdims=1)
            numbers = self.constant(np.arange(count).reshape(1, count, 1, 1))
            chosen = self.node("Cast", [self.node("Equal", [first, numbers])], to=TensorProto.FLOAT)
            back = self.node("Mul", [chosen, given])
            self.give(x, self.node("Transpose", [self.spread(back, single, x, **place)], **swap))

        return self.behind(y, rule)

    def mean(self, x: Value, *, keep: bool) -> Value:
        """The mean over the pixels: (1, C, 1, 1) with `keep`, else (1, C)."""
        name = self.node("ReduceMean", [x.name, self.constant([2, 3])], keepdims=int(keep))
        y = Value(name, x.channels, 4 if keep else 2, point=keep)

        def rule(gradient: str) -> None:
            if not keep:
                gradient = self.node("Unsqueeze", [gradient, self.constant([2, 3])])
            share = self.node("Div", [gradient, self.pixels(x)])
            self.give(x, self.node("Expand", [share, self.shape(x)]))

        return self.behind(y, rule)

    def cat(self, parts: Sequence[Value]) -> Value:
        """Joined along the channels."""
        sizes = [part.channels for part in parts]
        name = self.node("Concat", [part.name for part in parts], axis=1)
        y = Value(name, sum(sizes), parts[0].rank, parts[0].point)

        def rule(gradient: str) -> None:
            first = self.node("Split", [gradient, self.constant(sizes)], outputs=len(sizes), axis=1)
            for number, part in enumerate(parts):
                self.give(part, f"{first}_{number}" if number else first)

        return self.behind(y, rule)

    def chunk(self, x: Value, count: int) -> list[Value]:
        """Cut along the channels into `count` equal parts."""
        sizes = [x.channels // count] * count
        first = self.node("Split", [x.name, self.constant(sizes)], outputs=count, axis=1)
        names = [first, *(f"{first}_{number}" for number in range(1, count))]
        parts = [Value(name, sizes[0], x.rank, x.point) for name in names]

        def rule() -> None:
            given = [self.take(part) for part in parts]
            if any(given):
                zero = self.constant(0.0)
                filled = [g or self.node("Mul", [p.name, zero]) for g, p in zip(given, parts, strict=True)]
                self.give(x, self.node("Concat", filled, axis=1))

        self._backward.append(rule)
        return parts

    def flatten(self, x: Value) -> Value:
        """(1, C, H, W) -> (1, C H W); the new length is known here for a single pixel only."""
        y = Value(self.node("Flatten", [x.name]), x.channels if x.point else 0, 2)
        return self.behind(y, lambda gradient: self.give(x, self.node("Reshape", [gradient, self.shape(x)])))

    def linear(self, x: Value, weight: str, bias: str | None, *, outputs: int) -> Value:
        """A matrix of shape (outputs, inputs) times (1, inputs), plus a bias."""
        inputs = [x.name, weight] + ([bias] if bias else [])
        y = Value(self.node("Gemm", inputs, transB=1), outputs, 2)
        return self.behind(y, lambda gradient: self.give(x, self.node("MatMul", [gradient, weight])))

    @staticmethod
    def _wider(name: str, a: Value, b: Value) -> Value:
        return Value(name, max(a.channels, b.channels), a.rank, a.point and b.point)

    def model(self, inputs: dict[str, Sequence], outputs: dict[str, Sequence]) -> onnx.ModelProto:
        """The finished graph.

        Args:
            inputs: shape of each float32 input by name; a text stands for a length left open.
            outputs: likewise; each must be the name of a node's output.
        """
        kinds = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends.items()]
            for ends in (inputs, outputs)
        ]
        arrays = [self.store.tensor(name) for name in self.used] + list(self.small.values())
        graph = helper.make_graph(self.nodes, "gradient", *kinds, arrays)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        model.producer_name = "galaxylib"
        return model
