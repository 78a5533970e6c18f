"""What a file is that is no model of a runtime that there is here, told by how it begins."""

from __future__ import annotations

from pathlib import Path

from edge_agent.errors import ModelError

_EXPORT = "export the model to ONNX, and name that file"

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", f"it is a zip archive, as PyTorch's and Keras's files are; {_EXPORT}"),
    (b"\x80\x02", f"it is a pickle, as older files of PyTorch's are; {_EXPORT}"),
    (b"\x89HDF", f"it is an HDF5 file, as Keras's are; {_EXPORT}"),
    (b"ftrt", "it is an engine of TensorRT; name the ONNX file that it was built from"),
    (b"version https://git-lfs", "it is what Git LFS leaves in a file's place; run `git lfs pull` where it is from"),
    (b"<", "it is a page of the web, and no model; download it again"),
    (b"\0", "it begins with zeros; copy or download it again"),
)
_TFLITE = b"TFL3"  # its fifth to eighth byte
_LONGEST = 32


def refuse_others(path: Path) -> None:
    """Refuse a file that begins as something else does, before it is read whole.

    Raises:
        ModelError: it is something else; what, and what to do, is said.
    """
    if path.suffix.lower() == ".tflite" or not path.is_file():  # who loads it says better what is wrong
        return
    try:
        with path.open("rb") as file:
            begins = file.read(_LONGEST)
    except OSError:
        return
    if begins[4:8] == _TFLITE:
        raise ModelError(f"model {path}: it is of TensorFlow Lite; give its file's name the end .tflite")
    for beginning, what in _BEGINNINGS:
        if begins.startswith(beginning):
            raise ModelError(f"model {path}: onnxruntime cannot load it: {what}")
