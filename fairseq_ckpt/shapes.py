"""Names and shapes of tensors, as PyTorch's layers name them."""

import re

Shape = tuple[int, ...]
Shapes = dict[str, Shape]


def weight_and_bias(name: str, *weight: int) -> Shapes:
    """A linear layer, a convolution or a norm: a weight of this shape, and a bias as long as its first axis."""
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def batch_norm(name: str, n_features: int) -> Shapes:
    return weight_and_bias(name, n_features) | {
        f"{name}.running_mean": (n_features,),
        f"{name}.running_var": (n_features,),
        f"{name}.num_batches_tracked": (),
    }


def add_prefix(prefix: str, shapes: Shapes) -> Shapes:
    return {f"{prefix}{name}": shape for name, shape in shapes.items()}


def strip_prefix(prefix: str, shapes: Shapes) -> Shapes:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}


def dim_of(shapes: Shapes, name: str, axis: int, default: int) -> int:
    """The length of one axis of a tensor; `default` when the file lacks the tensor or the axis."""
    shape = shapes.get(name, ())
    return shape[axis] if axis < len(shape) else default


def count_indices(shapes: Shapes, pattern: str, default: int) -> int:
    """How many different indices occur in names such as `encoder.layers.7.fc1.weight`; `default` when there is none.

    The pattern has one group, which matches the index.
    """
    return len({match[1] for match in map(re.compile(pattern).match, shapes) if match}) or default
