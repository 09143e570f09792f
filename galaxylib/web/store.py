"""The weights file that all graphs of a network share."""

from dataclasses import dataclass, field

import numpy as np
from onnx import TensorProto, helper

WEIGHTS = "weights.bin"
ALIGNED = 16
"""Bytes; each array in the weights file begins at a multiple of them."""


@dataclass
class Store:
    """The arrays that all graphs of a network share, each once, as they lie in the weights file."""

    content: bytearray = field(default_factory=bytearray)
    places: dict[str, tuple[int, np.ndarray]] = field(default_factory=dict)

    def add(self, name: str, array: np.ndarray) -> None:
        """Append an array; a name that is there already is left as it is."""
        if name not in self.places:
            self.content.extend(bytes(-len(self.content) % ALIGNED))
            self.places[name] = (len(self.content), array)
            self.content.extend(np.ascontiguousarray(array).tobytes())

    def tensor(self, name: str) -> TensorProto:
        """What a graph holds instead of the array: its type, its shape and its place in the file."""
        offset, array = self.places[name]
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor = TensorProto(name=name, data_type=kind, dims=array.shape, data_location=TensorProto.EXTERNAL)
        where = {"location": WEIGHTS, "offset": offset, "length": array.nbytes}
        for key, value in where.items():
            tensor.external_data.add(key=key, value=str(value))
        return tensor
