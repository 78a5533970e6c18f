"""Which size, form, provider and number of threads of a model suit this machine, by measurement (ADR 0017).

```
the model as it is configured ─▶ what it finds in some pictures is the truth
   each other size and form   ─▶ how far it agrees with that, and what it costs, in turn with the first
                              ─▶ the cheapest of those that agree enough ─▶ its pace on each number of threads
```

What a configuration says is kept; what it leaves at its default is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from edge_agent.edges import catalogue, host, inference
from edge_agent.edges.choices import Choice, Pace
from edge_agent.errors import ConfigError, ModelError
from edge_agent.records import ByteArray, Frame
from edge_agent.stages.detect.preparation import Preparation
from edge_agent.tools.agreement import Agreement
from edge_agent.tools.candidates import Order, Trial, candidates, cheapest, in_words, least_things
from edge_agent.tools.speed import Spent, in_turn
from edge_agent.tools.threads import chosen
from edge_agent.vision import Vision, load_vision

PICTURES = 48
"""So many are looked at by each candidate."""

_COUNTS = (1, 2, 3, 4, 6, 8)  # of threads that are tried

Say = Callable[[str], None]
Sized = dict[tuple[int, int], ByteArray]
"""One frame, as small as each candidate sees it, by the candidate's size."""


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What came of it.

    Attributes:
        choice: to be remembered.
        threads: of that, for the demand as it is.
        best: the trial that it is of.
        trials: all of them, the configured model first.
        things: how many things that one found in all pictures.
        pictures: how many there were.
    """

    choice: Choice
    threads: int
    best: Trial
    trials: tuple[Trial, ...]
    things: int
    pictures: int


def tune(order: Order, take: Callable[[Callable[[Frame], Sized]], Iterable[Sized]], say: Say) -> Tuned:
    """Measure every candidate, and choose.

    Args:
        order: what is to be tuned.
        take: takes the pictures, when it is given what makes a frame as small as each candidate sees it.
        say: is told how it goes.

    Raises:
        ModelError: the model as it is configured cannot be used.
        RuntimeMissingError: its runtime is not installed.
        SourceError: the pictures cannot be read.
        ConfigError: there are none.
    """
    teacher = load_vision(order.model, order.state)
    configured = Trial(settings=order.model, name=teacher.name, input_size=teacher.input_size)
    forms = [configured, *candidates(order, teacher)]
    by_size = {one.input_size: Preparation(teacher.head, one.input_size) for one in forms if not one.problem}
    say(f"taking pictures of {order.pictures_of}")
    pictures = list(take(lambda frame: {size: one.picture(frame) for size, one in by_size.items()}))
    if not pictures:
        raise ConfigError(f"{order.pictures_of} gives no picture to tune with")
    agreement = Agreement(teacher, [one[teacher.input_size] for one in pictures], order.demand.labels)
    say(f"{teacher.name} finds {agreement.things} things in {len(pictures)} pictures")
    measure = _Measure(order, teacher, pictures, agreement)
    trials = []
    for candidate in forms:
        trials.append(candidate if candidate.problem else measure.of(candidate))
        say(in_words(trials[-1]))
    best = cheapest(trials, order.max_loss, agreement.things)
    paces = tuple(_paces(order, best, say))
    other = best.settings.path if best.settings.path != order.model.path else None
    choice = Choice(
        file=str(other) if other else None,
        sha256=catalogue.sha256_of(other) if other else "",
        input_size=best.input_size,
        provider=best.provider,
        paces=paces,
        why=_why(best, order, agreement.things),
    )
    return Tuned(
        choice=choice,
        threads=chosen(paces, order.demand, host.cpu_count()).threads,
        best=best,
        trials=tuple(trials),
        things=agreement.things,
        pictures=len(pictures),
    )


class _Measure:
    """Holds candidates against the configured model, one after the other."""

    def __init__(self, order: Order, teacher: Vision, pictures: Sequence[Sized], agreement: Agreement) -> None:
        self._order = order
        self._teacher = teacher
        self._pictures = pictures
        self._agreement = agreement

    def of(self, candidate: Trial) -> Trial:
        """The same candidate with what it costs and loses."""
        teacher, order = self._teacher, self._order
        is_teacher = candidate.settings is order.model
        try:
            vision = teacher if is_teacher else load_vision(candidate.settings, order.state)  # proved, as at each start
        except ModelError as error:
            return replace(candidate, problem=str(error))
        pace, usual = in_turn([self._run(vision), self._run(teacher)])
        cost_ms = _cost_ms(pace, vision)
        return replace(
            candidate,
            provider=vision.provider,
            cost_ms=cost_ms,
            share=1.0 if is_teacher else cost_ms / _cost_ms(usual, teacher),
            loss=self._loss(vision),
        )

    def _run(self, vision: Vision) -> Callable[[], object]:
        tensor = Preparation(vision.head, vision.input_size).tensor(self._pictures[0][vision.input_size])
        return lambda: vision.infer(tensor)

    def _loss(self, vision: Vision) -> float | None:
        if not self._agreement.things:
            return None
        return 1 - self._agreement.measure(vision, [one[vision.input_size] for one in self._pictures])


def _paces(order: Order, best: Trial, say: Say) -> Iterator[Pace]:
    """What the best takes on each number of threads that may be chosen; one is loaded at a time, for memory's sake."""
    provider = best.provider if "provider" not in order.is_set else order.model.provider
    for count in _thread_counts(order, best):
        settings = best.settings.model_copy(update={"threads": count, "provider": provider})
        vision = load_vision(settings, order.state, is_trial=True)
        (spent,) = in_turn([partial(vision.infer, vision.blank())])
        say(f"{count} threads: {spent.cpu_ms:.1f} CPU ms, {spent.wall_ms:.1f} by the clock")
        yield Pace(threads=count, cpu_ms=round(spent.cpu_ms, 3), wall_ms=max(0.001, round(spent.wall_ms, 3)))


def _thread_counts(order: Order, best: Trial) -> list[int]:
    if "threads" in order.is_set or not inference.is_on_the_cpu(best.provider):
        return [order.model.threads]
    return [count for count in _COUNTS if count <= host.cpu_count()]


def _cost_ms(spent: Spent, vision: Vision) -> float:
    return spent.cpu_ms if inference.is_on_the_cpu(vision.provider) else spent.wall_ms


def _why(best: Trial, order: Order, things: int) -> str:
    if best.settings is not order.model:
        return f"{best.share:.2f} x the time of what is configured, loss of agreement {best.loss or 0.0:.3f}"
    if things < least_things(order.max_loss):
        return f"as configured, for {things} things are too few to tell a loss of {order.max_loss:g}"
    return f"as configured, for nothing cheaper loses at most {order.max_loss:g}"
