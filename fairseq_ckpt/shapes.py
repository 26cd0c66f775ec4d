"""Names and shapes of tensors, as PyTorch's layers call them."""

import re

Shape = tuple[int, ...]
Shapes = dict[str, Shape]


def affine(name: str, *weight: int) -> Shapes:
    """A linear or convolutional layer, or a norm: a weight, and a bias as long as its first axis."""
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def batch_norm(name: str, n_features: int) -> Shapes:
    return affine(name, n_features) | {
        f"{name}.running_mean": (n_features,),
        f"{name}.running_var": (n_features,),
        f"{name}.num_batches_tracked": (),
    }


def under(prefix: str, shapes: Shapes) -> Shapes:
    return {f"{prefix}{name}": shape for name, shape in shapes.items()}


def below(prefix: str, shapes: Shapes) -> Shapes:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}


def size(shapes: Shapes, name: str, axis: int, published: int) -> int:
    """A size that a file's own tensor tells; where that is missing, the published one."""
    shape = shapes.get(name, ())
    return shape[axis] if axis < len(shape) else published


def count(shapes: Shapes, pattern: str, published: int) -> int:
    """How many different numbers stand in names such as `encoder.layers.7.fc1.weight` (a pattern with one group)."""
    return len({match[1] for match in map(re.compile(pattern).match, shapes) if match}) or published
