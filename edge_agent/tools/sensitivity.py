"""Which nodes of a model lose most when they are made INT8: a search that measures the loss.

What stands behind the heads, where nothing is convolved any more, stays float always: INT8 saves next to nothing there,
and boxes and scores would share one scale. If the rest loses too much, the graph is cut into blocks, a convolution with
what follows it; each is made INT8 alone, and what it does to the model's answers is its damage. Then the worst ones are
kept float: one, two, four, and so on until the loss is small enough, and of those as few as do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.edges.quantizer import Node

PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operations that multiply by weights: where INT8 saves time."""

MOST_BLOCKS = 24
"""More blocks scatter what stays float over the graph, and each border between float and INT8 costs time."""

Damage = Callable[[Collection[str]], float]
"""What it does to the model's answers when just these nodes are INT8."""

Loss = Callable[[Collection[str]], float]
"""How much accuracy is lost when just these nodes are INT8."""


@dataclass(frozen=True, slots=True)
class Found:
    """How a search ended.

    Attributes:
        nodes: those to be made INT8.
        loss: of accuracy, with them.
        trials: how many models were measured whole.
        cut_off: the time was over before it ended by itself.
    """

    nodes: frozenset[str]
    loss: float
    trials: int
    cut_off: bool


def before_heads(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Nodes that may be made INT8: all up to the last products on each way to an output."""
    users = defaultdict(list)
    for node in nodes:
        for name in node.inputs:
            users[name].append(node.name)
    leads_on: dict[str, bool] = {}
    for node in reversed(nodes):
        after = (user for name in node.outputs for user in users[name])
        leads_on[node.name] = node.operation in PRODUCTS or any(leads_on[user] for user in after)
    return tuple(node for node in nodes if leads_on[node.name] and node.can_quantize)


def blocks(nodes: Sequence[Node], most: int = MOST_BLOCKS) -> list[tuple[str, ...]]:
    """Cut nodes, in the order they run, into at most so many blocks of names: each begins with a product."""
    cut: list[list[str]] = [[]]
    for node in nodes:
        if node.operation in PRODUCTS and cut[-1]:
            cut.append([])
        cut[-1].append(node.name)
    size = -(-len(cut) // most)
    return [tuple(name for one in cut[at : at + size] for name in one) for at in range(0, len(cut), size)]


def search(
    may: Sequence[Node],
    *,
    loss_of: Loss,
    damage_of: Damage,
    max_loss: float,
    is_over: Callable[[], bool],
    say: Callable[[str], None],
) -> Found:
    """Find the nodes to be made INT8: all that may be, or as many as lose no more than is allowed.

    Half the blocks at most are kept float, for beyond that nothing is left to gain; where that does not help either,
    the best of what was tried is given.

    Args:
        may: nodes that may be made INT8, in the order they run.
        loss_of: measures a whole model.
        damage_of: measures one with few nodes INT8, quickly.
        max_loss: what is allowed.
        is_over: whether to end with what is known.
        say: is told how it goes.
    """
    every = frozenset(node.name for node in may)
    tried = {0: loss_of(every)}
    say(f"all {len(every)} nodes before the heads INT8: loss {tried[0]:.3f}")
    if tried[0] <= max_loss or is_over():
        return Found(every, tried[0], len(tried), cut_off=tried[0] > max_loss)
    cut = blocks(may)
    say(f"that is more than {max_loss:g}: measuring what each of {len(cut)} blocks does alone")
    damages = [0.0 if is_over() else damage_of(block) for block in cut]
    worst_first = sorted(range(len(cut)), key=lambda place: -damages[place])

    def but(count: int) -> frozenset[str]:
        return every - {name for place in worst_first[:count] for name in cut[place]}

    def is_enough(count: int) -> bool:
        if count not in tried:
            tried[count] = loss_of(but(count))
            say(f"the worst {count} of {len(cut)} blocks float: loss {tried[count]:.3f}")
        return tried[count] <= max_loss

    most = len(cut) // 2
    too_few, count = 0, min(1, most)
    while not is_over() and not is_enough(count) and count < most:
        too_few, count = count, min(2 * count, most)
    while not is_over() and count - too_few > 1 and is_enough(count):
        middle = (too_few + count) // 2
        too_few, count = (too_few, middle) if is_enough(middle) else (middle, count)
    enough = [count for count, loss in tried.items() if loss <= max_loss]
    chosen = min(enough) if enough else min(tried, key=lambda count: (tried[count], count))
    return Found(but(chosen), tried[chosen], len(tried), cut_off=is_over())


def answer_error(answers: Sequence[NDArray[Any]], wanted: Sequence[NDArray[Any]]) -> float:
    """How far answers are from those wanted: 0 when equal, 1 when as far as one mean for each column would be.

    Args:
        answers: a model's outputs, of any shape.
        wanted: the float model's.

    Returns:
        The mean over all columns of all outputs: the squared error of each over its variance. Columns are the shorter
        of an output's last two sides, so that scores, which are small, count as much as boxes.
    """
    errors = []
    for answer, want in zip(answers, wanted, strict=True):
        found, true = _columns(answer), _columns(want)
        if found.shape != true.shape:  # a model that suppresses in its graph found another number of things
            errors.append(np.ones(1))
            continue
        spread = true.var(axis=0)
        errors.append(((found - true) ** 2).mean(axis=0)[spread > 0] / spread[spread > 0])
    every = np.concatenate(errors)
    return float(every.mean()) if every.size else 0.0


def _columns(output: NDArray[Any]) -> NDArray[np.float64]:
    """An output as rows and columns, of which there are fewer."""
    flat = output.astype(np.float64).reshape(-1, *output.shape[-2:]) if output.ndim > 1 else output.reshape(1, -1, 1)
    turned = flat.transpose(0, 2, 1) if flat.shape[1] < flat.shape[2] else flat
    return turned.reshape(-1, turned.shape[-1]).astype(np.float64)
