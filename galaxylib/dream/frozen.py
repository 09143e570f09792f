"""A network whose weights stay, for dreams: its convolutions, BatchNorms and ReLUs become frozen layers.

What would need less code takes 1.3 to 1.7 times as long for a step: the network as it is, its BatchNorms
folded, and either of them under `torch.compile` (`benchmarks/dream_engines.py`).
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import pairwise

from torch import nn

from galaxylib.dream.frozen_layers import FrozenConv, ScaleShift


def freeze(network: nn.Module, *, keep: Collection[str] = ()) -> int:
    """Swap a network's convolutions, and BatchNorms and ReLUs around them, for frozen ones, in place.

    The outputs stay the same, apart from rounding. BatchNorm and ReLU are only touched inside an
    `nn.Sequential`: there the order is certain for any network. What a convolution swallows becomes an
    `nn.Identity`. Nothing is computed yet: each frozen layer makes itself ready when it first runs, so what
    never runs costs nothing.

    Args:
        network: any network in evaluation mode; it is changed.
        keep: dotted names of modules that somebody listens to; they are left alone.

    Returns:
        how many convolutions were swapped.
    """
    count = 0
    for path, module in list(network.named_modules()):
        children = {name: child for name, child in module.named_children() if _free(path, name, child, keep)}
        if isinstance(module, nn.Sequential):
            _join(module, children)
        if hasattr(module, "side_by_side"):
            _join_side_by_side(module, path, children, keep)
        for name, child in children.items():
            if type(child) is nn.Conv2d and getattr(module, name) is child:
                setattr(module, name, FrozenConv(child))
        count += sum(isinstance(child, FrozenConv) for child in module.children())
    return count


def _free(path: str, name: str, child: nn.Module, keep: Collection[str]) -> bool:
    hooks = child._forward_hooks or child._forward_pre_hooks or child._backward_hooks
    return f"{path}.{name}".lstrip(".") not in keep and not hooks


def _join(module: nn.Sequential, free: dict[str, nn.Module]) -> None:
    """Each run of convolution, BatchNorm and ReLU in an `nn.Sequential` as one frozen layer."""
    names = [name for name, _ in module.named_children()]
    followers = dict(pairwise(names))

    def after(name: str | None, kind: type[nn.Module]) -> str | None:
        follower = followers.get(name)
        return follower if follower in free and type(free[follower]) is kind else None

    for name in names:
        child = free.get(name)
        if type(child) is nn.Conv2d:
            norm = after(name, nn.BatchNorm2d)
            norm = norm if norm and _fixed(free[norm]) else None
            relu = after(norm or name, nn.ReLU)
            frozen = FrozenConv(child, free[norm] if norm else None, relu=relu is not None)
        elif type(child) is nn.BatchNorm2d and _fixed(child) and getattr(module, name) is child:
            norm, relu = None, after(name, nn.ReLU)
            frozen = ScaleShift(child, relu=relu is not None)
        else:
            continue
        setattr(module, name, frozen)
        for swallowed in filter(None, (norm, relu)):
            setattr(module, swallowed, nn.Identity())


def _join_side_by_side(
    module: nn.Module, path: str, free: dict[str, nn.Module], keep: Collection[str]
) -> None:
    """A BatchNorm and a ReLU behind concatenated convolutions go into each: a network's widest maps.

    Args:
        module: its `side_by_side` names the convolutions, in order, and the `nn.Sequential` of the two.
        path: the module's dotted name.
        free: its children that nobody listens to, by name.
        keep: dotted names of modules that somebody listens to.
    """
    convs, after = module.side_by_side
    if not {*convs, after} <= free.keys() or type(free[after]) is not nn.Sequential:
        return
    norm, _ = free[after]
    inside = free[after].named_children()
    if all(_free(f"{path}.{after}", name, child, keep) for name, child in inside) and _fixed(norm):
        first = 0
        for name in convs:
            last = first + free[name].out_channels
            setattr(module, name, FrozenConv(free[name], norm, part=slice(first, last), relu=True))
            first = last
        setattr(module, after, nn.Identity())


def _fixed(norm: nn.BatchNorm2d) -> bool:
    return norm.track_running_stats and norm.affine


@contextmanager
def hollow(network: nn.Module) -> Iterator[None]:
    """Let frozen layers give zeros of the right shape: enough to see what a gradient will need."""
    layers = [module for module in network.modules() if isinstance(module, FrozenConv)]
    for layer in layers:
        layer.hollow = True
    try:
        yield
    finally:
        for layer in layers:
            layer.hollow = False
