"""What each stage costs on this machine, beside the limit: decoding and the bare model, in the same process.

There are two limits. In turn, as the line has to, both suffer from the other's use of the caches, and from whatever
else the machine does; each by itself, over and over, finds its caches warm, which no camera allows.

Only CPU time is compared, for machines are shared; the wall time stands beside it.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar

from numpy.typing import NDArray

from edge_agent.pipeline import Pipeline
from edge_agent.records import Frame, Infer

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

STAGES = ("decode", "gate", "detect", "track", "rules", "encode")

MODEL = "model"
"""Each run of the model alone, which `detect` holds too."""


@dataclass(slots=True)
class Spent:
    """CPU and wall milliseconds of every call of one stage."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)

    @property
    def cpu_total_ms(self) -> float:
        """Of all calls together."""
        return sum(self.cpu_ms)

    def clocked(self, call: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        """The same call, with its times noted."""

        def noted(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            wall_s, cpu_s = time.perf_counter(), time.thread_time()
            result = call(*args, **kwargs)
            self.cpu_ms.append((time.thread_time() - cpu_s) * 1000)
            self.wall_ms.append((time.perf_counter() - wall_s) * 1000)
            return result

        return noted


@dataclass(frozen=True, slots=True)
class Run(Generic[Result]):
    """One measured call."""

    result: Result
    cpu_s: float
    wall_s: float


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What one clip cost.

    Attributes:
        frames: how many it has.
        looks: on how many the detector looked.
        runs: of the model, which closer looks and tiles need more of.
        stages: by name, in the order of the line.
        model: its runs inside the line.
        whole_cpu_ms: of everything, a frame.
        limit_cpu_ms: of decoding all frames and running the bare model as often as it ran, in turn; a frame.
        warm_limit_cpu_ms: of the same, each by itself.
        frames_a_second: of the whole, by wall time.
        peak_rss_bytes: of the process so far.
    """

    frames: int
    looks: int
    runs: int
    stages: dict[str, Spent]
    model: Spent
    whole_cpu_ms: float
    limit_cpu_ms: float
    warm_limit_cpu_ms: float
    frames_a_second: float
    peak_rss_bytes: int

    @property
    def beside_model_cpu_ms(self) -> float:
        """What the detector takes before and after its model, a frame: making its input, and reading its answer."""
        return (self.stages["detect"].cpu_total_ms - self.model.cpu_total_ms) / self.frames

    @property
    def ratio(self) -> float:
        """The whole to the limit; 1 would be no cost beside decoding and the model."""
        return self.whole_cpu_ms / self.limit_cpu_ms

    @property
    def warm_ratio(self) -> float:
        """The whole to the stricter limit."""
        return self.whole_cpu_ms / self.warm_limit_cpu_ms


def run_benchmark(
    build: Callable[[Infer], Pipeline],
    record: Callable[[], Iterable[Frame]],
    infer: Infer,
    blank: NDArray[Any],
    rounds: int = 3,
) -> Benchmark:
    """Take a clip through the line, through both limits, and through the line with a clock at every stage.

    They alternate, and the cheapest round of each counts: it is the one that others on the machine disturbed
    least. The clocks run apart from the whole, for reading them costs too.

    Args:
        build: makes a new line around the model, as the daemon does.
        record: opens the clip anew.
        infer: the bare model.
        blank: a picture of nothing, as it takes one.
        rounds: how often.
    """
    wholes, limits, warm_limits, by_stage = [], [], [], []
    model = partial(infer, blank)
    for _ in range(rounds):
        wholes.append(_measure(lambda: _run(build, infer, record())))
        runs = wholes[-1].result
        limits.append(_measure(partial(_run_limit, record(), model, runs)))
        warm_limits.append(_measure(partial(_run_apart, record(), model, runs)))
        stages = {stage: Spent() for stage in (*STAGES, MODEL)}
        line = _clocked(build(stages[MODEL].clocked(infer)), stages)
        for frame in _clocked_frames(record(), stages["decode"]):
            line.step(frame)
        by_stage.append(stages)
    frames = len(runs)
    stages = min(by_stage, key=lambda stages: sum(stages[stage].cpu_total_ms for stage in STAGES))
    return Benchmark(
        frames=frames,
        looks=sum(map(bool, runs)),
        runs=sum(runs),
        stages={stage: stages[stage] for stage in STAGES},
        model=stages[MODEL],
        whole_cpu_ms=min(run.cpu_s for run in wholes) / frames * 1000,
        limit_cpu_ms=min(run.cpu_s for run in limits) / frames * 1000,
        warm_limit_cpu_ms=min(run.cpu_s for run in warm_limits) / frames * 1000,
        frames_a_second=frames / min(run.wall_s for run in wholes),
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _run(build: Callable[[Infer], Pipeline], infer: Infer, recording: Iterable[Frame]) -> list[int]:
    """Take a clip through a line; for each frame, how often the model ran."""
    runs: list[int] = []

    def counted(tensor: NDArray[Any]) -> Sequence[NDArray[Any]]:
        runs[-1] += 1
        return infer(tensor)

    pipeline = build(counted)
    for frame in recording:
        runs.append(0)
        pipeline.step(frame)
    return runs


def _run_limit(recording: Iterable[Frame], model: Callable[[], object], runs: Sequence[int]) -> None:
    """Decode every frame, and run the bare model on each as often as the line did."""
    for _frame, count in zip(recording, runs, strict=True):
        for _ in range(count):
            model()


def _run_apart(recording: Iterable[Frame], model: Callable[[], object], runs: Sequence[int]) -> None:
    """Decode every frame, then run the bare model as often as the line did."""
    for _frame in recording:
        pass
    for _ in range(sum(runs)):
        model()


def _measure(call: Callable[[], Result]) -> Run[Result]:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    result = call()
    return Run(result=result, cpu_s=time.process_time() - cpu_s, wall_s=time.perf_counter() - wall_s)


def _clocked(pipeline: Pipeline, stages: dict[str, Spent]) -> Pipeline:
    """The same line with a clock at every stage."""
    return replace(
        pipeline,
        observe=stages["gate"].clocked(pipeline.observe),
        detect=stages["detect"].clocked(pipeline.detect),
        update=stages["track"].clocked(pipeline.update),
        evaluate=stages["rules"].clocked(pipeline.evaluate),
        encode=stages["encode"].clocked(pipeline.encode),
    )


def _clocked_frames(recording: Iterable[Frame], spent: Spent) -> Iterator[Frame]:
    frames = iter(recording)
    following = spent.clocked(lambda: next(frames, None))
    while (frame := following()) is not None:
        yield frame
