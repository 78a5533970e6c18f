"""On what a model runs: what `auto` keeps, what a name promises, and when another answer counts as the CPU's."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
from data import shared_data
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx_files import write_model

from edge_agent.edges import catalogue
from edge_agent.edges.inference import ModelSettings, contest, libraries, load_model, onnx_runtime, providers
from edge_agent.edges.inference.contest import LEAST_GAIN, MOST_S, ROUNDS
from edge_agent.edges.inference.onnx_runtime import survey
from edge_agent.edges.inference.providers import COREML, CPU, CUDA, NEEDS, OPENVINO, TENSORRT, XNNPACK
from edge_agent.errors import ModelError

BUILT_IN = catalogue.find("default").path


# What is here: the CPU, with real models


def test_where_the_cpu_is_all_there_is_it_is_taken_unmeasured_and_runs_every_operation() -> None:
    loaded = load_model(BUILT_IN, ModelSettings())
    assert (loaded.provider, loaded.why) == (CPU, onnx_runtime.ONLY_ONE)
    assert loaded.nodes is None or loaded.nodes > 100  # older onnxruntimes do not tell
    assert not loaded.fallback_nodes
    assert load_model(BUILT_IN, ModelSettings(provider=CPU)).why == onnx_runtime.ASKED_FOR


def test_an_onnxruntime_that_does_not_tell_what_runs_where_leaves_the_numbers_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for kind in onnxruntime.InferenceSession.__mro__:
        if "get_provider_graph_assignment_info" in vars(kind):
            monkeypatch.delattr(kind, "get_provider_graph_assignment_info")
    loaded = load_model(BUILT_IN, ModelSettings())
    assert (loaded.provider, loaded.nodes, loaded.fallback_nodes) == (CPU, None, None)


def test_a_survey_measures_what_is_here_and_says_what_the_others_need() -> None:
    tried = {one.name: one for one in survey(BUILT_IN, ModelSettings())}
    assert tried.keys() >= NEEDS.keys()
    assert tried[CPU].offered
    assert (tried[CPU].ms or 0) > 0
    for name in NEEDS.keys() - set(onnxruntime.get_available_providers()):
        assert (tried[name].offered, tried[name].ms, tried[name].needs) == (False, None, NEEDS[name])


def changed(path: Path, folder: Path, layer: int) -> Path:
    """A model with one layer's weights turned round, or all rounded to 16 bits where none is named (-1)."""
    model = onnx.load(path)
    layers = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 4]
    for tensor in layers if layer < 0 else [layers[layer]]:
        kept = numpy_helper.to_array(tensor)
        weights = (
            kept.reshape(-1)[::-1].reshape(kept.shape).copy()
            if layer >= 0
            else kept.astype(np.float16).astype(kept.dtype)
        )
        tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    onnx.save(model, folder / "changed.onnx")
    return folder / "changed.onnx"


def is_taken_for_the_same(path: Path, other: Path) -> bool:
    """Whether the answer of another file would pass for that of the first on the CPU."""
    settings = ModelSettings(provider=CPU)
    one, two = load_model(path, settings), load_model(other, settings)
    return contest.agrees(two.run, one.run, contest.pictures(one.signature, None))


def test_a_model_answers_as_itself() -> None:
    assert is_taken_for_the_same(BUILT_IN, BUILT_IN)


@pytest.mark.parametrize("layer", [0, 9, 17, 33])
def test_wrong_weights_in_one_layer_of_an_8_bit_model_are_another_answer(layer: int, tmp_path: Path) -> None:
    assert not is_taken_for_the_same(BUILT_IN, changed(BUILT_IN, tmp_path, layer))


def test_rounding_as_graphics_processors_do_is_the_same_answer_and_wrong_weights_are_not(tmp_path: Path) -> None:
    model = shared_data("models/yolox_nano.onnx")
    assert is_taken_for_the_same(model, changed(model, tmp_path, -1))
    assert not is_taken_for_the_same(model, changed(model, tmp_path, 0))


def test_8_bit_arithmetic_done_in_another_order_is_the_same_answer() -> None:
    """Without the optimiser each operation is done by itself and in floats: another rounding in each layer."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(str(BUILT_IN), options, providers=[CPU])
    loaded = load_model(BUILT_IN, ModelSettings())
    shown = contest.pictures(loaded.signature, None)
    answers = plain.run(None, dict(shown[0][0]))
    assert any(np.abs(one - two).max() > 0.05 for one, two in zip(answers, loaded.run(shown[0][0]), strict=True))
    assert contest.agrees(lambda tensors: plain.run(None, dict(tensors)), loaded.run, shown)


# Arithmetic of the contest


@pytest.mark.parametrize(
    ("ms", "best"),
    [
        ({CPU: 10.0}, CPU),
        ({CPU: 10.0, CUDA: 8.9}, CUDA),
        ({CPU: 10.0, CUDA: 9.1}, CPU),  # less than a tenth is no reason to leave what is the reference
        ({CPU: 10.0, CUDA: 5.0, OPENVINO: 4.0}, OPENVINO),
    ],
)
def test_another_provider_has_to_save_a_tenth(ms: dict[str, float], best: str) -> None:
    assert LEAST_GAIN == 0.9
    assert contest.quickest(ms, CPU) == best


def test_each_is_run_in_turn_and_its_quickest_run_counts() -> None:
    now_s, order = [0.0], []

    def takes(name: str, *durations_s: float) -> contest.Run:
        left = list(durations_s)

        def run(_tensors: contest.Inputs) -> Sequence[NDArray[Any]]:
            order.append(name)
            now_s[0] += left.pop(0) if len(left) > 1 else left[0]
            return ()

        return run

    def stopwatch(rate: float) -> contest.Stopwatch:
        def timing(does: Callable[[], object]) -> float:
            began_s = now_s[0]
            does()
            return (now_s[0] - began_s) * rate

        return timing

    stopwatches = {"a": stopwatch(1), "b": stopwatch(0.5)}
    runs = {"a": takes("a", 0.2, 0.1, 0.3), "b": takes("b", 0.1, 0.05)}
    ms = contest.timed(runs, {}, stopwatches, lambda: now_s[0])
    assert ms == pytest.approx({"a": 100.0, "b": 25.0})
    assert order == ["a", "b"] * ROUNDS
    order.clear()
    contest.timed({"a": takes("a", MOST_S), "b": takes("b", MOST_S)}, {}, stopwatches, lambda: now_s[0])
    assert order == ["a", "b"]


def busy(seconds: float) -> None:
    """Compute for so long, of this thread's CPU time."""
    began_s = time.thread_time()
    while time.thread_time() - began_s < seconds:
        pass


def test_what_computes_on_the_cpu_is_timed_by_what_it_takes_of_it_and_not_by_who_else_runs() -> None:
    def helped() -> None:
        helper = threading.Thread(target=busy, args=(0.06,))
        helper.start()
        busy(0.02)
        helper.join()

    assert 0.038 <= contest.undisturbed(threads=2)(helped) < 0.06  # 0.08 s on two threads, if they shared it well
    assert 0.019 <= contest.undisturbed(threads=4)(lambda: busy(0.02)) < 0.03  # three of them had nothing to do
    assert contest.undisturbed(threads=1)(lambda: time.sleep(0.05)) < 0.03
    assert contest.by_the_wall(lambda: time.sleep(0.05)) >= 0.05
    assert {CPU, XNNPACK, OPENVINO} == providers.ON_THE_CPU


@pytest.mark.parametrize(
    ("picture", "dtype", "shape"),
    [
        ((1, 3, 64, 32), onnx.TensorProto.FLOAT, (1, 3, 64, 32)),
        (("n", 3, "h", "w"), onnx.TensorProto.FLOAT, (1, 3, 192, 320)),
        (("n", "h", "w", 3), onnx.TensorProto.UINT8, (1, 192, 320, 3)),
    ],
)
def test_a_model_is_shown_what_it_takes(
    picture: tuple[int | str, ...], dtype: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = write_model(
        tmp_path / "m.onnx",
        {"boxes": np.ones((1, 4), np.float32)},
        picture=picture,
        dtype=dtype,
        more_inputs={"orig_target_sizes": (1, 2)},
    )
    loaded = load_model(path, ModelSettings())
    shown = contest.pictures(loaded.signature, (310, 190))
    assert len(shown) == (1 if dtype == onnx.TensorProto.UINT8 else 2)
    for plain, moved in shown:
        assert plain["images"].shape == moved["images"].shape == shape
        apart = np.abs(plain["images"].astype(float) - moved["images"]) / max(1, plain["images"].max())
        assert 0 < apart.max() < 1.1 / 255
        assert loaded.run(plain)[0].shape == (1, 4)


# What is not here: other providers, played by onnxruntime's own session on the CPU with a mask on


class Masked(onnxruntime.InferenceSession):
    """A fake: a session that says it is another provider's, and does as the test's table has it.

    Attributes:
        does: by provider, what it does otherwise than the CPU.
        given: the providers and options of each session that was asked for.
    """

    does: Mapping[str, str] = {}
    given: ClassVar[list[list[tuple[str, Mapping[str, str]]]]] = []

    def __init__(self, path: str, options: Any, *, providers: list[Any], enable_fallback: int) -> None:
        assert enable_fallback == 0
        self.given.append(providers)
        self._mask = providers[0][0]
        self._manner = self.does.get(self._mask, "")
        self._known: Any = None
        if self._manner == "no file":
            raise RuntimeError(f"cannot read {path}\nsecond line")
        super().__init__(path, options, providers=[CPU], enable_fallback=0)

    def get_providers(self) -> list[str]:
        return [CPU] if self._manner == "not up" else list(dict.fromkeys((self._mask, CPU)))

    def get_provider_graph_assignment_info(self) -> list[Any]:
        parts = super().get_provider_graph_assignment_info()
        taken = {"takes nothing": 0, "takes two": 2}.get(self._manner, len(parts))
        return [Part(self._mask if number < taken else CPU, part) for number, part in enumerate(parts)]

    def run(self, names: Any, tensors: Any, options: Any = None) -> Any:
        if self._manner == "dies":
            raise RuntimeError("the device is gone from /dev/here")
        if self._manner == "slow":
            for _more in range(3):
                super().run(names, tensors, options)
        if self._manner in {"", "takes two"} and self._mask != CPU and self._known is not None:
            return self._known  # at once
        answer = super().run(names, tensors, options)
        if self._manner == "wrong":
            return [2 * output + 1 for output in answer]
        if self._manner == "nothing":
            return [np.full_like(output, np.nan) for output in answer]
        self._known = answer
        return answer


class Part:
    """What onnxruntime says of a part of the graph, with another provider's name."""

    def __init__(self, name: str, part: Any) -> None:
        self.ep_name, self._part = name, part

    def get_nodes(self) -> Any:
        return self._part.get_nodes()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    grid = np.linspace(0, 1, 42 * 7, dtype=np.float32).reshape(1, 42, 7)
    return write_model(tmp_path / "small.onnx", {"output": grid})


def masked(monkeypatch: pytest.MonkeyPatch, does: Mapping[str, str]) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*does, "AzureExecutionProvider", CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Masked)
    monkeypatch.setattr(Masked, "does", does)
    monkeypatch.setattr(Masked, "given", [])


MEASURED = r"[0-9]+\.[0-9] ms a run"


@pytest.mark.parametrize(
    ("does", "active", "why"),
    [
        ({CUDA: ""}, CUDA, rf"{CPU} {MEASURED}; {CUDA} {MEASURED}"),
        ({CUDA: "slow"}, CPU, rf"{CPU} {MEASURED}; {CUDA} {MEASURED}"),
        ({CUDA: "wrong"}, CPU, rf"{CPU} {MEASURED}; {CUDA} answers otherwise than the CPU"),
        ({CUDA: "nothing"}, CPU, rf"{CPU} {MEASURED}; {CUDA} answers otherwise than the CPU"),
        ({CUDA: "dies"}, CPU, rf"{CPU} {MEASURED}; {CUDA} cannot run this model"),
        ({CUDA: "no file"}, CPU, rf"{CPU} {MEASURED}; {CUDA} cannot load this model"),
        ({CUDA: "not up"}, CPU, rf"{CPU} {MEASURED}; {CUDA} did not come up, its driver or a library is missing"),
        ({CUDA: "not up", XNNPACK: ""}, XNNPACK, rf"{CPU} {MEASURED}; {XNNPACK} {MEASURED}; {CUDA} did not come up.*"),
        ({TENSORRT: ""}, CPU, rf"{CPU} {MEASURED}; {TENSORRT} has no engine for this model yet"),
    ],
)
def test_auto_keeps_what_is_soonest_of_what_answers_as_the_cpu_does(
    does: Mapping[str, str], active: str, why: str, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked(monkeypatch, does)
    loaded = load_model(small, ModelSettings())
    assert loaded.provider == active
    assert re.fullmatch(why, loaded.why), loaded.why
    assert "/" not in loaded.why


tells = pytest.mark.skipif(
    not hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"),
    reason="this onnxruntime does not tell what runs where",
)


@tells
@pytest.mark.parametrize(
    ("manner", "active", "left", "why"),
    [
        ("", CUDA, 0, "asked for"),
        ("takes two", CUDA, -2, "asked for"),
        ("takes nothing", CPU, None, f"{CUDA} takes no operation of this model"),
        ("not up", CPU, None, f"{CUDA} did not come up, its driver or a library is missing"),
    ],
)
def test_of_what_was_asked_for_it_is_counted_what_fell_back(
    manner: str, active: str, left: int | None, why: str, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked(monkeypatch, {CUDA: manner})
    loaded = load_model(small, ModelSettings(provider=CUDA))
    assert (loaded.provider, loaded.why) == (active, why)
    assert loaded.nodes
    assert loaded.fallback_nodes == (loaded.nodes if left is None else loaded.nodes + left if left else 0)


@pytest.mark.parametrize("manner", ["not up", "no file", pytest.param("takes nothing", marks=tells)])
def test_what_is_required_and_does_not_work_ends_the_start(
    manner: str, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked(monkeypatch, {CUDA: manner})
    wrong = rf"^model .*: model\.require_provider is {CUDA}, active is {CPU}: {CUDA} .*; `edge-agent doctor` says what"
    with pytest.raises(ModelError, match=wrong):
        load_model(small, ModelSettings(require_provider=CUDA))
    with pytest.raises(ModelError, match=rf"^model\.provider {XNNPACK} is not in this onnxruntime; it offers {CUDA}, "):
        load_model(small, ModelSettings(require_provider=XNNPACK))


COMPILER = shutil.which("cc")


@pytest.mark.skipif(COMPILER is None, reason="no C compiler to make a library that needs another")
@pytest.mark.parametrize("provider", [CUDA, TENSORRT])
def test_the_library_that_a_provider_misses_is_named(
    provider: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert COMPILER
    folder = tmp_path / "capi"
    folder.mkdir()
    source = tmp_path / "empty.c"
    source.touch()
    needed, made = tmp_path / "libnvidia_test.so.10", folder / libraries.FILES[provider]
    for path, needs in ((needed, []), (folder / "libonnxruntime_providers_shared.so", []), (made, [needed.name])):
        command = [COMPILER, "-shared", "-Wl,--no-as-needed", "-o", path, source]
        if path == needed:
            command.append(f"-Wl,-soname,{needed.name}")
        subprocess.run([*command, *(f"-l:{name}" for name in needs), "-L", tmp_path], check=True)
    needed.unlink()
    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
    masked(monkeypatch, {provider: "no file"})
    loaded = load_model(small, ModelSettings(provider=provider))
    assert (loaded.provider, loaded.why) == (CPU, f"{provider} did not come up, libnvidia_test.so.10 is missing")
    tried = {one.name: one for one in survey(small, ModelSettings())}
    assert tried[provider].problem == "did not come up, libnvidia_test.so.10 is missing"
    made.write_text("no library")
    assert load_model(small, ModelSettings(provider=provider)).why == f"{provider} cannot load this model"


def test_cudas_libraries_are_asked_for_before_a_session_that_needs_them_and_what_that_prints_is_no_event(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def preload(directory: str | None = None) -> None:
        asked.append(str(directory))
        sys.stdout.write("Failed to load libcudnn\n")
        raise RuntimeError("no CUDA at all")

    monkeypatch.setattr(onnxruntime, "preload_dlls", preload, raising=False)
    masked(monkeypatch, {CUDA: ""})
    assert load_model(small, ModelSettings(provider=CPU)).provider == CPU
    assert not asked
    assert load_model(small, ModelSettings(provider=CUDA)).provider == CUDA
    assert asked == [""]
    assert not capsys.readouterr().out


def test_tensorrt_compiles_when_it_is_named_and_is_tried_by_auto_from_then_on(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked(monkeypatch, {TENSORRT: "", CUDA: ""})
    engines = tmp_path / "state" / "engines" / "abc"
    assert load_model(small, ModelSettings(), engines).provider == CUDA
    assert not engines.exists()
    Masked.given.clear()
    assert load_model(small, ModelSettings(provider=TENSORRT), engines).provider == TENSORRT
    [[(name, options), *behind]] = Masked.given
    assert (name, [one for one, _ in behind]) == (TENSORRT, [CUDA, CPU])
    folder = Path(options["trt_engine_cache_path"])
    assert folder.parent == engines
    assert folder.is_dir()
    assert load_model(small, ModelSettings(), engines).engines == folder
    (folder / "graph_sm87.engine").touch()
    assert TENSORRT in load_model(small, ModelSettings(), engines).why
    assert TENSORRT in [given[0][0] for given in Masked.given]


def test_tensorrt_works_without_a_folder_that_can_be_written(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked(monkeypatch, {TENSORRT: ""})
    (tmp_path / "state").touch()  # a file where the folder would be
    for engines in (tmp_path / "state" / "engines", None):
        assert load_model(small, ModelSettings(provider=TENSORRT), engines).provider == TENSORRT
        assert "trt_engine_cache_path" not in Masked.given[-1][0][1]


def test_openvino_has_a_name_for_each_device_and_keeps_to_the_threads_of_the_settings() -> None:
    available = ["OpenVINOExecutionProvider", "AzureExecutionProvider", CPU]
    names = providers.offered(available, ("CPU", "GPU"))
    assert names == (OPENVINO, f"{OPENVINO}:GPU", CPU)
    setup = providers.Setup(threads=2, engines=None)
    [(name, options), (last, nothing)] = providers.chain(names[1], available, setup)
    assert (name, last, nothing) == (OPENVINO, CPU, {})
    assert options == {"device_type": "GPU", "num_of_threads": "2"}
    assert providers.offered([COREML, CPU], ("GPU",)) == (COREML, CPU)
