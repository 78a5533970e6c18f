"""Pictures on which somebody has drawn what is there: the annotation file, and the pictures as frames.

Source of the format: "Data format" of COCO, cocodataset.org, object detection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_agent.edges.sources.images import read_picture
from edge_agent.edges.sources.planes import view_planes
from edge_agent.errors import ConfigError, SourceError
from edge_agent.labels import MEANINGLESS
from edge_agent.records import Frame

_Length = Annotated[float, Field(ge=0)]


class _Row(BaseModel):
    """A row of the file; what nobody here asks for is not read."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Picture(_Row):
    """One picture; where its width and height stand, in pixels, they are those of the file."""

    id: int
    file_name: str
    width: int | None = None
    height: int | None = None


class Annotation(_Row):
    """One thing on a picture: its box as left, top, width and height in pixels, and whether it is a crowd of them."""

    image_id: int
    category_id: int
    bbox: tuple[float, float, _Length, _Length]
    area: _Length | None = None
    iscrowd: Annotated[int, Field(ge=0, le=1)] = 0


class Category(_Row):
    """One kind of thing."""

    id: int
    name: str


class _File(_Row):
    images: Annotated[tuple[Picture, ...], Field(min_length=1)]
    annotations: tuple[Annotation, ...]
    categories: tuple[Category, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """What an annotation file says.

    Attributes:
        path: of the file.
        pictures: as it lists them; no id comes twice.
        annotations: of those pictures only.
        category_ids: by name, in the order of the ids.
    """

    path: Path
    pictures: tuple[Picture, ...]
    annotations: tuple[Annotation, ...]
    category_ids: dict[str, int]

    def shared_with(self, label_names: Iterable[str]) -> dict[str, int]:
        """Categories that are called like a label of a model, in the order of their ids.

        Raises:
            ConfigError: there are none, or nothing on any picture is of them.
        """
        known = [label for label in dict.fromkeys(label_names) if label not in MEANINGLESS]
        shared = {name: number for name, number in self.category_ids.items() if name in known}
        if not shared:
            raise ConfigError(
                f"{self.path}: no category ({_some(self.category_ids)}) is called like a label of the model "
                f"({_some(known)}); --categories FILE gives the categories other names"
            )
        wanted = set(shared.values())
        if not any(one.category_id in wanted and not one.iscrowd for one in self.annotations):
            raise ConfigError(f"{self.path}: nothing on its pictures is annotated as {_some(shared)}")
        return shared

    def only(self, pictures: Iterable[Picture]) -> Labelled:
        """Some of its pictures, and what is on them."""
        some = tuple(pictures)
        ids = {picture.id for picture in some}
        annotations = tuple(one for one in self.annotations if one.image_id in ids)
        return replace(self, pictures=some, annotations=annotations)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFolder:
    """What an annotation file says, and the folder that its pictures lie in."""

    labelled: Labelled
    folder: Path

    def frames(self) -> Iterator[tuple[Picture, Frame]]:
        """Every picture, in the file's order.

        Raises:
            SourceError: one cannot be read.
            ConfigError: one is of another size than its annotations.
        """
        return ((picture, read_frame(picture, self.folder)) for picture in self.labelled.pictures)


def read_labelled(path: Path, names: Path | None = None) -> Labelled:
    """Read an annotation file.

    Args:
        path: JSON, as COCO's `instances_*.json` are.
        names: a text file with names for its categories, one a line in the order of their ids, instead of their own.

    Raises:
        ConfigError: one of them is not there, or says something else than is wanted.
    """
    try:
        file = _File.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        raise ConfigError(f"{path}: {''.join(f'{part}: ' for part in wrong['loc'])}{wrong['msg']}") from error
    categories = sorted(file.categories, key=lambda category: category.id)
    called = [category.name for category in categories] if names is None else _lines(names)
    if len(called) != len(categories):
        raise ConfigError(f"{names} has {len(called)} lines, and {path} has {len(categories)} categories")
    _refuse_repeats(path, "pictures have the id", [picture.id for picture in file.images])
    _refuse_repeats(path, "categories have the id", [category.id for category in categories])
    _refuse_repeats(names or path, "categories are called", called)
    category_ids = dict(zip(called, (category.id for category in categories), strict=True))
    whole = Labelled(path=path, pictures=file.images, annotations=file.annotations, category_ids=category_ids)
    return whole.only(whole.pictures)


def require_pictures(labelled: Labelled, folder: Path) -> None:
    """See that every picture lies in the folder, before much time is spent on any.

    Raises:
        SourceError: one does not.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder of pictures")
    absent = [picture.file_name for picture in labelled.pictures if not (folder / picture.file_name).is_file()]
    if absent:
        of_all = f"{len(absent)} of the {len(labelled.pictures)} pictures of {labelled.path}"
        raise SourceError(f"{folder} has not got {of_all}: {_some(absent)}")


def read_frame(picture: Picture, folder: Path) -> Frame:
    """A picture as the agent sees it.

    Raises:
        SourceError: it cannot be read.
        ConfigError: it is of another size than its annotations.
    """
    path = folder / picture.file_name
    decoded = read_picture(path)
    if decoded is None:
        raise SourceError(f"{path} cannot be read as a picture")
    frame = view_planes(decoded).taken(at_s=0.0, utc_ns=0, utc_synced=False, seq=0)
    said = (picture.width or frame.width, picture.height or frame.height)
    if said != (frame.width, frame.height):
        raise ConfigError(f"{path} is {frame.width}x{frame.height}, and was annotated at {said[0]}x{said[1]}")
    return frame


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no text in UTF-8") from error


def _refuse_repeats(path: Path, what: str, values: Sequence[int] | Sequence[str]) -> None:
    for value, count in Counter(values).most_common(1):
        if count > 1:
            raise ConfigError(f"{path}: {count} {what} {value}")


def _some(names: Iterable[str]) -> str:
    """The first of many names."""
    listed = list(names)
    return ", ".join(listed[:_SHOWN] or ["none"]) + (", …" if len(listed) > _SHOWN else "")


_SHOWN = 5
