"""INT8 forms of models that tuning has made and chosen: kept in the state folder for as long as a choice names them."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.errors import StorageError
from edge_agent.tools import made_models
from edge_agent.tools.model_card import card_of

_log = logging.getLogger(__name__)

FOLDER = "int8"
"""In the state folder."""

_DIGITS = 16  # of a sha256: enough to tell apart the few that are kept
_MOST_LETTERS = 50  # of the source's name: a file's name has at most 255 bytes
_OURS = re.compile(rf"\.?(?P<stem>.+-int8-[0-9a-f]{{{_DIGITS}}})\.(onnx|json|md)(\.part)?")


@dataclass(frozen=True, kw_only=True)
class KeptForm:
    """One form.

    Attributes:
        name: of its file, which tells what it was made of.
        model: the bytes of the file.
        manifest: all that is known of it.
    """

    name: str
    model: bytes
    manifest: dict[str, Any]

    @property
    def file(self) -> str:
        """Where it is kept, from the state folder on."""
        return f"{FOLDER}/{self.name}"

    @property
    def sha256(self) -> str:
        """Of its file, in hexadecimal digits."""
        return str(self.manifest["sha256"])

    @property
    def loss(self) -> float:
        """Of accuracy at the size that it was made for, 0 to 1."""
        return float(self.manifest["measured"]["before"] - self.manifest["measured"]["after"])


def name_of(source: Path, made_of: Mapping[str, Any]) -> str:
    """What the file of a form is called: like its source, and by the sha256 of all that it depends on.

    Args:
        source: the float model.
        made_of: its sha256, settings, pictures and versions, as JSON types.
    """
    sha256 = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    like = re.sub(r"[^\w.-]", "_", source.stem)[:_MOST_LETTERS]
    return f"{like}-int8-{sha256[:_DIGITS]}.onnx"


def find(state: Path | None, name: str) -> KeptForm | None:
    """The form of that name, if it is kept and whole."""
    found = made_models.read(state / FOLDER / name) if state else None
    return KeptForm(name=name, model=found[0], manifest=found[1]) if found else None


def keep(state: Path, form: KeptForm) -> None:
    """Write a form with its manifest and its card; over one of the same name, for that is the same or damaged.

    Raises:
        StorageError: it cannot be written.
    """
    path, manifest = state / form.file, {"file": form.name} | form.manifest
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path.parent} cannot be made: {error.strerror}") from error
    made_models.write(path, form.model, manifest, card_of(manifest))


def prune(state: Path, named: Collection[str]) -> None:
    """Remove forms that no choice names any longer, and what a power cut left unfinished; of other files, nothing.

    Args:
        state: the state folder.
        named: files of forms, from the state folder on.
    """
    stems = {Path(name).stem for name in named}
    folder = state / FOLDER
    try:
        for path in sorted(folder.iterdir()):
            ours = _OURS.fullmatch(path.name)
            if ours and (ours["stem"] not in stems or path.suffix == ".part"):
                path.unlink()
                _log.info("removed %s, for no choice names it any longer", path)
        if not any(folder.iterdir()):
            folder.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        _log.warning("%s has files that are of no use any more and cannot be removed: %s", folder, error.strerror)
