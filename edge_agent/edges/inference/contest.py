"""Which of several ways to run a model answers soonest, of those whose answer is that of the CPU (ADR 0016)."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.edges.inference.model import Run
from edge_agent.records import ModelSignature, Tensor

_log = logging.getLogger(__name__)

Inputs = Mapping[str, NDArray[Any]]

Seconds = Callable[[], float]

Stopwatch = Callable[[Callable[[], object]], float]
"""Does something and says how many seconds it took."""

ROUNDS = 8
"""Runs of each that are timed, in turns."""

MOST_S = 3.0
"""No further round is begun after so long."""

LEAST_GAIN = 0.9
"""Another provider must take less than this part of the CPU's time, or the CPU stays: as decoders (ADR 0013)."""

OWN_SHARE = 2.0
"""How many times as far from the CPU's answer another may be as the CPU's own answer moves with its picture.

Measured: OpenVINO with the built-in NanoDet-g of INT8, 0.3 to 1.3 times; without the optimiser the CPU 0.2 to 1.1.
"""

ALWAYS_ALLOWED = 0.1
"""Part of an output's spread that never counts as different: what 16-bit floats do to a model of 32 bits.

Measured: YOLOX-nano with its weights rounded to float16, 0.003 at the scale that it was made for, 0.07 at the other.
"""

MOST_ALLOWED = 0.5
"""Part of an output's spread that is always different, however much the CPU's own answer moves."""

_GREYS = 255
_SEED = 1
_FREE_SIZE = (416, 256)  # of a picture whose size the model leaves open
_STEP = 32  # which models that take any size take multiples of
_PICTURE_DIMENSIONS = 4
_CHANNELS = 3
_LEAST_SPREAD = 0.01  # part of an output's mean size that is taken for its spread where all its numbers are the same


def pictures(signature: ModelSignature, size: tuple[int, int] | None) -> list[tuple[Inputs, Inputs]]:
    """Noise to be looked at, and the same off by up to one grey level, at each scale that a model may want.

    Args:
        signature: what goes into the model.
        size: width and height of a picture, where the model leaves them open.
    """
    random = np.random.default_rng(_SEED)
    taker = next((tensor for tensor in signature.inputs if len(tensor.shape) == _PICTURE_DIMENSIONS), None)
    if taker is None:
        return []
    width, height = (-(-side // _STEP) * _STEP for side in size or _FREE_SIZE)
    shape = _shape(taker, width, height)
    others = {
        tensor.name: np.full([dim or 1 for dim in tensor.shape], width, tensor.dtype)
        for tensor in signature.inputs
        if tensor is not taker
    }
    noise, off = random.random(shape), random.uniform(-1, 1, shape) / _GREYS
    if taker.dtype == "uint8":
        # Whole grey levels: a third of them goes up by one, a third down.
        both = (np.round(noise * _GREYS), np.clip(np.round(noise * _GREYS) + np.round(off * _GREYS * 1.5), 0, _GREYS))
        scaled = [both]
    else:
        scaled = [(noise * scale, (noise + off) * scale) for scale in (1, _GREYS)]
    return [
        ({taker.name: plain.astype(taker.dtype), **others}, {taker.name: moved.astype(taker.dtype), **others})
        for plain, moved in scaled
    ]


def agrees(run: Run, reference: Run, shown: Sequence[tuple[Inputs, Inputs]]) -> bool:
    """Whether two ways to run a model answer the same, within what rounding may do.

    Both scales have to agree: at the one that a model is not made for it is less sensitive to some faults.
    """
    return all(_same(run(plain), reference(plain), reference(moved)) for plain, moved in shown)


def by_the_wall(does: Callable[[], object]) -> float:
    """How long something takes that is not computed on the CPU."""
    began_s = time.perf_counter()
    does()
    return time.perf_counter() - began_s


def undisturbed(threads: int) -> Stopwatch:
    """Times what is computed on the CPU: how long it would take if nothing else ran.

    That is the CPU time of all threads of the process divided by theirs, and not less than that of the thread which
    asks, for it takes part from the beginning to the end: of work that is badly shared out, much is its own. Wall time
    on a busy machine says more of its neighbours: 27 and 47 ms were seen of runs that take 12 and 10.
    """

    def timing(does: Callable[[], object]) -> float:
        all_began_s, own_began_s = time.process_time(), time.thread_time()
        does()
        return max((time.process_time() - all_began_s) / threads, time.thread_time() - own_began_s)

    return timing


def timed(
    runs: Mapping[str, Run], shown: Inputs, stopwatches: Mapping[str, Stopwatch], wall: Seconds = time.perf_counter
) -> dict[str, float]:
    """Milliseconds of the quickest of some runs of each, in turns, so that what else the machine does meets all.

    Args:
        runs: by name.
        shown: what goes in.
        stopwatches: by which the runs of each are timed.
        wall: bounds the whole.
    """
    best_s = dict.fromkeys(runs, float("inf"))
    began_s = wall()
    for _round in range(ROUNDS):
        for name, run in runs.items():
            best_s[name] = min(best_s[name], stopwatches[name](functools.partial(run, shown)))
        if wall() - began_s > MOST_S:
            break
    return {name: spent_s * 1000 for name, spent_s in best_s.items()}


def quickest(ms: Mapping[str, float], reference: str) -> str:
    """Whose runs are soonest done; the reference's, where nothing is gained by another."""
    best = min(ms, key=lambda name: ms[name])
    return best if ms[best] < LEAST_GAIN * ms[reference] else reference


def _shape(taker: Tensor, width: int, height: int) -> tuple[int, ...]:
    in_front = taker.shape[1] == _CHANNELS
    free = (1, _CHANNELS, height, width) if in_front else (1, height, width, _CHANNELS)
    return tuple(dim or usual for dim, usual in zip(taker.shape, free, strict=True))


def _same(answer: Sequence[NDArray[Any]], reference: Sequence[NDArray[Any]], moved: Sequence[NDArray[Any]]) -> bool:
    if [output.shape for output in answer] != [output.shape for output in reference]:
        return False
    return all(map(_near, answer, reference, moved))


def _near(answer: NDArray[Any], reference: NDArray[Any], moved: NDArray[Any]) -> bool:
    if not reference.size:
        return True
    wanted = reference.astype(np.float64)
    if not np.isfinite(answer).all():
        return False
    spread = max(float(np.std(wanted)), _LEAST_SPREAD * _mean_size(wanted))
    own = _mean_size(moved - wanted) if moved.shape == wanted.shape else spread
    allowed = min(ALWAYS_ALLOWED * spread + OWN_SHARE * own, MOST_ALLOWED * spread)
    _log.debug("apart by %.3g, allowed are %.3g", _mean_size(answer - wanted), allowed)
    return _mean_size(answer - wanted) <= allowed


def _mean_size(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
