"""onnxruntime, and nothing else, lives here: sessions, and on which of its providers a model runs."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent import runtimes
from edge_agent.edges.inference import contest, libraries
from edge_agent.edges.inference.engines import hold, of_version
from edge_agent.edges.inference.model import AUTO, LoadedModel, ModelSettings, Run
from edge_agent.edges.inference.providers import (
    CPU,
    NEEDS,
    ON_THE_CPU,
    TENSORRT,
    Setup,
    bare,
    chain,
    has_engine,
    offered,
)
from edge_agent.errors import ModelError
from edge_agent.records import ModelSignature, Tensor

_log = logging.getLogger(__name__)

ONLY_ONE = "no other provider is here"
ASKED_FOR = "asked for"
UNLOADABLE = "cannot load this model"
LACKS = "did not come up, {} is missing"
NOT_UP = "did not come up, its driver or a library is missing"
TAKES_NOTHING = "takes no operation of this model"
CANNOT_RUN = "cannot run this model"
DISAGREES = "answers otherwise than the CPU"
NO_ENGINE = "has no engine for this model yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How one provider did.

    Attributes:
        name: of the provider.
        offered: whether this onnxruntime has it.
        needs: what it takes to have it.
        problem: why it cannot be used, in words of our own; "" where it can.
        ms: of its quickest run; None where it was not timed.
        nodes: operations in the graph as it was set up; None where onnxruntime does not tell.
        fallback_nodes: those that it left to another.
    """

    name: str
    offered: bool
    needs: str
    problem: str = ""
    ms: float | None = None
    nodes: int | None = None
    fallback_nodes: int | None = None


def load(path: Path, settings: ModelSettings, engines: Path | None) -> LoadedModel:
    """Load an ONNX file.

    Args:
        path: the file.
        settings: threads and providers.
        engines: a folder for what TensorRT compiles for this model; None where none may be kept.

    Raises:
        ModelError: the file is no model that this onnxruntime can load, or the required provider is not active.
        RuntimeMissingError: onnxruntime is not installed.
    """
    maker = _Maker(_onnxruntime(), path, settings, engines)
    wanted = settings.require_provider or settings.provider
    if wanted == AUTO:
        return _best(maker)
    if wanted not in maker.offered:
        raise ModelError(f"model.provider {wanted} is not in this onnxruntime; it offers {', '.join(maker.offered)}")
    return _named(maker, wanted, is_required=settings.require_provider is not None)


def survey(path: Path, settings: ModelSettings) -> tuple[Tried, ...]:
    """Try a model on every provider there is, and say of the others what they need.

    Raises:
        ModelError: the CPU cannot run it either.
        RuntimeMissingError: onnxruntime is not installed.
    """
    maker = _Maker(_onnxruntime(), path, settings, engines=None)
    reference = maker.made(CPU)
    rivals = {name: maker.tried(name) for name in maker.offered if name not in {CPU, TENSORRT}}
    ms, problems = _raced(reference, rivals, settings)
    missing = [name for name in NEEDS if name not in maker.offered]
    here = [
        Tried(
            name=name,
            offered=True,
            needs=NEEDS[bare(name)],
            problem=problems.get(name, "") if name != TENSORRT else maker.lacking(name) or NO_ENGINE,
            ms=ms.get(name),
            nodes=made.nodes if isinstance(made, _Made) else None,
            fallback_nodes=made.left if isinstance(made, _Made) else None,
        )
        for name, made in ((name, reference if name == CPU else rivals.get(name)) for name in maker.offered)
    ]
    return (*here, *(Tried(name=name, offered=False, needs=NEEDS[name]) for name in missing))


_SAY_NOTHING = 4  # but what is fatal: what matters comes as an exception, and is said once


def _onnxruntime() -> ModuleType:
    onnxruntime = runtimes.load("onnxruntime")
    onnxruntime.set_default_logger_severity(_SAY_NOTHING)
    return onnxruntime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A session, how many operations it has, and how many of them its provider left to another."""

    name: str
    session: Any
    signature: ModelSignature
    run: Run
    nodes: int | None
    left: int | None


class _Maker:
    """Makes sessions of one model."""

    def __init__(self, onnxruntime: ModuleType, path: Path, settings: ModelSettings, engines: Path | None) -> None:
        self._onnxruntime = onnxruntime
        self._available = tuple(onnxruntime.get_available_providers())
        self.path = path
        self.settings = settings
        folder = of_version(engines, onnxruntime.__version__) if engines else None
        self.setup = Setup(threads=settings.threads, engines=folder)
        self.offered = offered(self._available, _openvino_devices(onnxruntime))

    def made(self, name: str) -> _Made:
        """Make a session.

        Raises:
            ModelError: it cannot be made.
        """
        try:
            return self._made(name)
        except Exception as error:  # onnxruntime raises a class of its own for each cause, all derived from Exception
            raise ModelError(f"model {self.path}: onnxruntime cannot load it: {_first_line(error)}") from error

    def tried(self, name: str) -> _Made | str:
        """Make a session on a provider, or say why there is none."""
        if name == TENSORRT and self.setup.engines is not None:
            try:
                hold(self.setup.engines)
            except OSError as error:
                _log.warning("TensorRT compiles the model at each start: %s: %s", self.setup.engines, error.strerror)
                self.setup = replace(self.setup, engines=None)
        try:
            made = self._made(name)
        except Exception as error:  # noqa: BLE001  (the same; what it says goes to the log, it may name files)
            problem = self.lacking(name) or UNLOADABLE
            _log.warning("model %s: %s %s: %s", self.path, name, problem, _first_line(error))
            return problem
        if made.session.get_providers()[0] != bare(name):
            problem = self.lacking(name) or NOT_UP
        elif made.nodes and made.left == made.nodes:
            problem = TAKES_NOTHING
        else:
            return made
        _log.warning("model %s: %s %s", self.path, name, problem)
        return problem

    def lacking(self, name: str) -> str:
        """Which library a provider misses, in words; empty where it misses none, or nobody can tell."""
        library = libraries.missing(self._onnxruntime, bare(name))
        return LACKS.format(library) if library else ""

    def _made(self, name: str) -> _Made:
        libraries.bring(self._onnxruntime, bare(name))
        counts = hasattr(self._onnxruntime.InferenceSession, _ASSIGNMENT)
        # 1.19 cannot be told not to fall back, and prints that it does: not among our events.
        with contextlib.redirect_stdout(sys.stderr):
            session = self._onnxruntime.InferenceSession(
                str(self.path),
                _options(self._onnxruntime, self.setup.threads, counts=counts),
                providers=chain(name, self._available, self.setup),
                enable_fallback=0,
            )
        session.disable_fallback()
        signature = _signature(session)
        by_provider = _nodes(session) if counts else None
        nodes = by_provider.total() if by_provider else None
        left = nodes - by_provider[bare(name)] if nodes is not None and by_provider else None
        return _Made(
            name=name,
            session=session,
            signature=signature,
            run=_run(session, signature),
            nodes=nodes,
            left=left,
        )


_ASSIGNMENT = "get_provider_graph_assignment_info"  # since onnxruntime 1.24


def _best(maker: _Maker) -> LoadedModel:
    """Whatever answers soonest; where there is one candidate, nothing is measured."""
    reference = maker.made(CPU)
    rivals = {
        name: maker.tried(name) if name != TENSORRT or has_engine(maker.setup) else NO_ENGINE
        for name in maker.offered
        if name != CPU
    }
    if not rivals:
        return _loaded(maker, reference, ONLY_ONE)
    ms, problems = _raced(reference, rivals, maker.settings)
    why = "; ".join(
        [f"{name} {spent:.1f} ms a run" for name, spent in ms.items()]
        + [f"{name} {problem}" for name, problem in problems.items()]
    )
    best = rivals.get(contest.quickest(ms, CPU)) if ms else None
    return _loaded(maker, best if isinstance(best, _Made) else reference, why)


def _named(maker: _Maker, wanted: str, *, is_required: bool) -> LoadedModel:
    """What a person named; the CPU where that does not work and need not."""
    if wanted == CPU:
        return _loaded(maker, maker.made(CPU), ASKED_FOR)
    made = maker.tried(wanted)
    if isinstance(made, _Made):
        return _loaded(maker, made, ASKED_FOR)
    reference = maker.made(CPU)
    if is_required:
        raise ModelError(
            f"model {maker.path}: model.require_provider is {wanted}, active is {CPU}: {wanted} {made}; "
            "`edge-agent doctor` says what it needs"
        )
    return _loaded(maker, reference, f"{wanted} {made}", fallback_nodes=reference.nodes)


def _raced(
    reference: _Made, rivals: Mapping[str, _Made | str], settings: ModelSettings
) -> tuple[dict[str, float], dict[str, str]]:
    """Milliseconds of a run on the CPU and on each provider that can be used, and why the others cannot."""
    problems = {name: made for name, made in rivals.items() if isinstance(made, str)}
    runs = {CPU: reference.run}
    try:
        shown = contest.pictures(reference.signature, settings.input)
        for plain, _moved in shown:
            reference.run(plain)
    except Exception as error:  # noqa: BLE001  (what the model wants else, the caller finds out and says better)
        _log.info("nothing was measured: %s", _first_line(error))
        shown = []
    if not shown:
        return {}, problems
    for name, made in rivals.items():
        if isinstance(made, str):
            continue
        try:
            agrees = contest.agrees(made.run, reference.run, shown)
        except Exception as error:  # noqa: BLE001  (a class of its own for each cause, as above)
            _log.warning("%s %s: %s", name, CANNOT_RUN, _first_line(error))
            problems[name] = CANNOT_RUN
            continue
        if agrees:
            runs[name] = made.run
        else:
            _log.warning("%s %s", name, DISAGREES)
            problems[name] = DISAGREES
    undisturbed = contest.undisturbed(settings.threads)
    stopwatches = {name: undisturbed if name in ON_THE_CPU else contest.by_the_wall for name in runs}
    return contest.timed(runs, shown[0][0], stopwatches), problems


def _loaded(maker: _Maker, made: _Made, why: str, fallback_nodes: int | None = None) -> LoadedModel:
    _log.debug("the model runs on %s: %s", made.name, why)
    return LoadedModel(
        run=made.run,
        signature=made.signature,
        provider=made.name,
        why=why,
        nodes=made.nodes,
        fallback_nodes=made.left if fallback_nodes is None else fallback_nodes,
        engines=maker.setup.engines,
    )


def _openvino_devices(onnxruntime: ModuleType) -> Sequence[str]:
    """Devices that a build with OpenVINO finds; none in a build without."""
    ask = getattr(onnxruntime.capi._pybind_state, "get_available_openvino_device_ids", None)  # noqa: SLF001  (the only place that tells)
    try:
        return tuple(ask()) if ask else ()
    except Exception as error:  # noqa: BLE001  (a class of its own for each cause, as above)
        _log.warning("OpenVINO does not say what devices there are: %s", _first_line(error))
        return ()


def _nodes(session: Any) -> Counter[str] | None:
    """How many operations each provider has got; None when onnxruntime does not tell."""
    try:
        parts = session.get_provider_graph_assignment_info()
    except Exception as error:  # noqa: BLE001  (a class of its own for each cause, as above)
        _log.info("onnxruntime does not say what runs where: %s", _first_line(error))
        return None
    counted: Counter[str] = Counter()
    for part in parts:
        counted[part.ep_name] += len(part.get_nodes())
    return counted


def _options(onnxruntime: ModuleType, threads: int, *, counts: bool) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Waiting threads that spin double the CPU time for a few per cent of speed.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # One block for each run at a time takes 1 to 10 MB more than what its tensors need in turn, and saves no time.
    options.enable_mem_pattern = False
    if counts:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _signature(session: Any) -> ModelSignature:
    return ModelSignature(
        inputs=tuple(map(_tensor, session.get_inputs())),
        outputs=tuple(map(_tensor, session.get_outputs())),
        metadata=dict(session.get_modelmeta().custom_metadata_map),
    )


def _tensor(described: Any) -> Tensor:
    shape = tuple(dim if isinstance(dim, int) and dim > 0 else None for dim in described.shape)
    element = described.type.removeprefix("tensor(").removesuffix(")")
    return Tensor(
        name=described.name, shape=shape, dtype={"float": "float32", "double": "float64"}.get(element, element)
    )


def _run(session: Any, signature: ModelSignature) -> Run:
    output_names = [tensor.name for tensor in signature.outputs]
    is_unusual = any(tensor.dtype in {"float16", "float64"} for tensor in signature.outputs)

    def run(tensors: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        outputs: Sequence[NDArray[Any]] = session.run(output_names, dict(tensors))
        return [np.asarray(output, _FULL.get(output.dtype)) for output in outputs] if is_unusual else outputs

    return run


_FULL = {np.dtype(np.float16): np.float32, np.dtype(np.float64): np.float32}
"""What is easier to reckon with."""


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
