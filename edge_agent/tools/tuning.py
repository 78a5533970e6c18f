"""Which size, form, provider and number of threads of a model suit this machine, by measurement (ADR 0017).

```
the model as it is configured ─▶ what it finds in some pictures is the truth
   each other size and form   ─▶ how far it agrees with that, and what it costs, in turn with the first
  its INT8 form, made of some ─▶ judged by the other pictures, like all the others
                              ─▶ the cheapest of those that agree enough ─▶ its pace on each number of threads
```

What a configuration says is kept; what it leaves at its default is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from edge_agent.edges import catalogue, host, inference
from edge_agent.edges.choices import Choice, Pace
from edge_agent.errors import ConfigError, ModelError
from edge_agent.records import ByteArray, Frame
from edge_agent.stages.detect.preparation import Preparation
from edge_agent.tools.agreement import Agreement
from edge_agent.tools.calibration_pictures import parted
from edge_agent.tools.candidates import Order, Trial, candidates, cheapest, in_words, least_things
from edge_agent.tools.kept_forms import KeptForm
from edge_agent.tools.speed import Spent, in_turn
from edge_agent.tools.threads import chosen
from edge_agent.vision import Vision, load_vision

if TYPE_CHECKING:
    # A daemon tunes too, and makes no INT8 form: it need not load what makes one.
    from edge_agent.tools.own_form import OwnForm

PICTURES = 48
"""So many are taken; each candidate looks at those that calibrate no INT8 form."""

_COUNTS = (1, 2, 3, 4, 6, 8)  # of threads that are tried

Say = Callable[[str], None]
Sized = dict[tuple[int, int], ByteArray]
"""One frame, as small as each candidate sees it, by the candidate's size."""

Take = Callable[[Callable[[Frame], Sized]], Iterable[Sized]]
Maker = Callable[[Order, Vision, Say], "OwnForm"]


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What came of it.

    Attributes:
        choice: to be remembered.
        threads: of that, for the demand as it is.
        best: the trial that it is of.
        trials: all of them, the configured model first.
        things: how many things that one found in the pictures that all were judged by.
        pictures: how many those were.
        calibrating: how many others the INT8 form was calibrated with.
        int8: what became of that form, in a line; None where none was asked for.
        form: it, to be kept; None where it is not the best, or there is none.
    """

    choice: Choice
    threads: int
    best: Trial
    trials: tuple[Trial, ...]
    things: int
    pictures: int
    calibrating: int = 0
    int8: str | None = None
    form: KeptForm | None = None


def tune(order: Order, take: Take, say: Say, maker: Maker | None = None) -> Tuned:
    """Measure every candidate, and choose.

    Args:
        order: what is to be tuned.
        take: takes the pictures, when it is given what makes a frame as small as each candidate sees it.
        say: is told how it goes.
        maker: begins the INT8 form that is to be made; None to make none.

    Raises:
        ModelError: the model as it is configured cannot be used.
        RuntimeMissingError: its runtime is not installed.
        SourceError: the pictures cannot be read.
        ConfigError: there are none.
    """
    teacher = load_vision(order.model, order.state)
    configured = Trial(settings=order.model, name=teacher.name, input_size=teacher.input_size)
    forms = [configured, *candidates(order, teacher)]
    with ExitStack() as stack:
        own = stack.enter_context(closing(maker(order, teacher, say))) if maker else None
        shown = _shown(order, teacher, _taken(order, teacher, forms, take, say), own)
        things = shown.agreement.things
        say(f"{teacher.name} finds {things} things in {len(shown.judging)} pictures")
        own_forms = own.make(*shown.as_configured(teacher), shown.agreement) if own else []
        measure = _Measure(order, teacher, shown)
        trials = []
        for candidate in [*forms, *own_forms]:
            trials.append(candidate if candidate.problem else measure.of(candidate))
            say(in_words(trials[-1]))
        best = cheapest(trials, order.max_loss, things)
        if own:
            own.judge(trials[len(forms) :], best)
        paces = tuple(_paces(order, best, say))
    form = own.form if own else None
    return Tuned(
        choice=_choice(best, order, form, paces, things),
        threads=chosen(paces, order.demand, host.cpu_count()).threads,
        best=best,
        trials=tuple(trials),
        things=things,
        pictures=len(shown.judging),
        calibrating=len(shown.calibrating),
        int8=own.said if own else None,
        form=form,
    )


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """Pictures that calibrate the INT8 form, others that all are judged by, and what is to be found in these."""

    calibrating: Sequence[Sized]
    judging: Sequence[Sized]
    agreement: Agreement

    def as_configured(self, teacher: Vision) -> tuple[list[ByteArray], list[ByteArray]]:
        """Both as the configured model sees them."""
        size = teacher.input_size
        return [one[size] for one in self.calibrating], [one[size] for one in self.judging]


def _taken(
    order: Order,
    teacher: Vision,
    forms: Sequence[Trial],
    take: Take,
    say: Say,
) -> list[Sized]:
    by_size = {one.input_size: Preparation(teacher.head, one.input_size) for one in forms if not one.problem}
    say(f"taking pictures of {order.pictures_of}")
    pictures = list(take(lambda frame: {size: one.picture(frame) for size, one in by_size.items()}))
    if not pictures:
        raise ConfigError(f"{order.pictures_of} gives no picture to tune with")
    return pictures


def _shown(order: Order, teacher: Vision, pictures: Sequence[Sized], own: OwnForm | None) -> _Shown:
    """Some pictures put aside for the INT8 form, if one is to be made and the others suffice to judge by."""

    def shown(calibrating: Sequence[int], judging: Sequence[int]) -> _Shown:
        return _Shown(
            calibrating=[pictures[place] for place in calibrating],
            judging=[pictures[place] for place in judging],
            agreement=Agreement(
                teacher, [pictures[place][teacher.input_size] for place in judging], order.demand.labels
            ),
        )

    if own and own.can_be_made:
        parts = shown(*parted([one[teacher.input_size] for one in pictures]))
        if own.is_worth_it(len(parts.calibrating), parts.agreement):
            return parts
    return shown([], range(len(pictures)))


def _choice(best: Trial, order: Order, form: KeptForm | None, paces: tuple[Pace, ...], things: int) -> Choice:
    file, sha256 = (form.file, form.sha256) if form else _other_file(best, order)
    return Choice(
        file=file,
        sha256=sha256,
        input_size=best.input_size,
        provider=best.provider,
        paces=paces,
        why=_why(best, order, things),
    )


def _other_file(best: Trial, order: Order) -> tuple[str | None, str]:
    """The user's own file of another form, and its sha256; nothing where the best is the configured model itself."""
    path = best.settings.path
    return (None, "") if path is None or path == order.model.path else (str(path), catalogue.sha256_of(path))


class _Measure:
    """Holds candidates against the configured model, one after the other."""

    def __init__(self, order: Order, teacher: Vision, shown: _Shown) -> None:
        self._order = order
        self._teacher = teacher
        self._pictures = shown.judging
        self._agreement = shown.agreement

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
