"""The built-in models: which there are, and the proof that their files are the ones that were shipped."""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from edge_agent.errors import ModelError

FOLDER = Path(str(resources.files("edge_agent") / "models"))
DEFAULT = "default"
COCO_LABELS = "coco80.txt"
"""Labels of a model with 80 classes that says nothing of its own."""

COCO_WITH_GAPS = "coco91.txt"
"""The background and COCO's 90 numbers, of which ten are not used: for a model with as many classes."""

_MEASURED = "measured.json"
_CHUNK_BYTES = 1 << 20
_MOST_BYTES = 2 << 30  # protobuf, which ONNX is written in, allows no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How good the model in a file is, with where that is from.

    Attributes:
        on: which pictures.
        by: the command that counted.
        input: width and height that the model saw.
        ap: average precision by COCO's metric, 0..1, as the other three.
        ap50: the same where an overlap of 0.5 is enough.
        ap75: the same for 0.75.
        ar100: average recall of 100 boxes a picture.
    """

    on: str
    by: str
    input: tuple[int, int]
    ap: float
    ap50: float
    ap75: float
    ar100: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One built-in model, as its manifest has it.

    Attributes:
        name: what `model.name` says.
        title: for people.
        path: its ONNX file.
        sha256: of that file.
        size_bytes: of that file.
        family: whose head it has.
        input_size: width and height it is used at unless told otherwise.
        labels: what its class columns mean.
        licence: SPDX expression.
        source: package and version it was made from.
        card: its model card.
        fingerprint: what it answers to the picture that models are proved on, in short.
        accuracy: of that file; None where nobody has measured it.
    """

    name: str
    title: str
    path: Path
    sha256: str
    size_bytes: int
    family: str
    input_size: tuple[int, int]
    labels: tuple[str, ...]
    licence: str
    source: str
    card: Path
    fingerprint: list[list[float]]
    accuracy: Measured | None


def entries() -> tuple[CatalogueEntry, ...]:
    """All built-in models, in the manifest's order."""
    manifest, measured = _read("manifest.json"), _measured()
    return tuple(
        CatalogueEntry(
            name=model["name"],
            title=model["title"],
            path=FOLDER / model["file"],
            sha256=model["sha256"],
            size_bytes=model["bytes"],
            family=model["family"],
            input_size=(model["input"]["width"], model["input"]["height"]),
            labels=read_labels(FOLDER / model["labels"]),
            licence=model["licence"],
            source=model["source"]["package"],
            card=FOLDER / model["card"],
            fingerprint=[[float(number) for number in output.split()] for output in model["fingerprint"]],
            accuracy=measured.get(model["sha256"]),
        )
        for model in manifest["models"]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteEntry:
    """One model that is known and not part of the package.

    Attributes:
        name: what `models pull` calls it.
        title: for people.
        file: its file's name.
        url: where it is published.
        sha256: of the file.
        size_bytes: of the file.
        licence: SPDX expression.
        accuracy: of that file; None where nobody has measured it.
    """

    name: str
    title: str
    file: str
    url: str
    sha256: str
    size_bytes: int
    licence: str
    accuracy: Measured | None = None

    def is_right(self, path: Path) -> bool:
        """Whether a file is this model's."""
        return sha256_of(path) == self.sha256


def remote_entries() -> tuple[RemoteEntry, ...]:
    """All models that can be pulled."""
    table, measured = _read("remote.json"), _measured()
    return tuple(
        RemoteEntry(
            name=model["name"],
            title=model["title"],
            file=model["file"],
            url=model["url"],
            sha256=model["sha256"],
            size_bytes=model["bytes"],
            licence=model["licence"],
            accuracy=measured.get(model["sha256"]),
        )
        for model in table["models"]
    )


def _measured() -> dict[str, Measured]:
    """What is known of the accuracy of files, by their sha256: another file of the same name is another model."""
    table = _read(_MEASURED)
    return {
        sha256: Measured(
            on=table["on"],
            by=table["by"],
            input=(figures["input"][0], figures["input"][1]),
            ap=figures["ap"],
            ap50=figures["ap50"],
            ap75=figures["ap75"],
            ar100=figures["ar100"],
        )
        for sha256, figures in table["models"].items()
    }


def _read(name: str) -> dict[str, Any]:
    """A table of the package's."""
    table: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return table


def find_remote(name: str) -> RemoteEntry:
    """The model of that name that can be pulled.

    Raises:
        ModelError: there is none.
    """
    known = remote_entries()
    for entry in known:
        if entry.name == name:
            return entry
    raise ModelError(f"model {name!r} cannot be pulled; there are: {', '.join(entry.name for entry in known)}")


def find(name: str) -> CatalogueEntry:
    """The built-in model of that name.

    Raises:
        ModelError: there is none.
    """
    known = entries()
    for entry in known:
        if entry.name == name:
            return entry
    raise ModelError(f"model {name!r} is not built in; there are: {', '.join(entry.name for entry in known)}")


def verify(entry: CatalogueEntry) -> None:
    """Check that a built-in model's file is the one that was shipped.

    Raises:
        ModelError: it is missing, or its sha256 is another.
    """
    found = sha256_of(entry.path)
    if found != entry.sha256:
        raise ModelError(
            f"model {entry.name!r}: {entry.path} has sha256 {found[:16]}…, the manifest says {entry.sha256[:16]}…; "
            "the file is damaged or was changed: install edge-agent again"
        )


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file.

    Raises:
        ModelError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):  # reading might never end
            raise ModelError(
                f"model file {path} cannot be read: it is no file but a device or a pipe; check model.path"
            )
        if found.st_size > _MOST_BYTES:
            raise ModelError(f"model file {path} is larger than 2 GB, and no ONNX file can be; check model.path")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise ModelError(f"model file {path} cannot be read: {error.strerror}; check model.path") from error
    return digest.hexdigest()


def read_labels(path: Path) -> tuple[str, ...]:
    """One label a line, `-` where a class column has no meaning.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"label file {path} cannot be read: {error}; check model.labels") from error
