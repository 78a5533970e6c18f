"""Make the built-in clip: `python -m recipes.clip.build [--out DIR]`; byte for byte, given the same tool versions."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from recipes.checksum import check_sha256, sha256_of
from recipes.clip.scene import FRAMES_A_SECOND, HEIGHT, WIDTH, frames
from recipes.errors import RecipeError
from recipes.wheel import Wheel, fetch_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

SHIPPED_FOLDER = Path(__file__).parents[2] / "edge_agent" / "clips"
CLIP_NAME = "pedestrians.mp4"
CLIP_SHA256 = "a403940a9d0b134d5dd3102d082511e39b98b37c9e1e32269e564e2f51eeecc4"

# The pictures come out of one wheel, whichever machine this runs on; nothing in it is run.
PICTURES_WHEEL = Wheel(
    requirement="scikit-image==0.26.0",
    file_name="scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    sha256="74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    options=(
        "--only-binary=:all:", "--platform=manylinux_2_28_x86_64", "--implementation=cp", "--python-version=3.11",
        "--abi=cp311",
    ),
)  # fmt: skip
PICTURES = ("astronaut", "camera", "brick", "grass", "gravel")

# As a camera encodes: no look-ahead, no B-frames, key frames on the beat. x264's output depends on its threads: one.
CAMERA_LIKE = (
    "-c:v", "libx264", "-preset", "veryslow", "-tune", "zerolatency", "-crf", "26", "-g", "30", "-bf", "0",
    "-sc_threshold", "0", "-threads", "1", "-pix_fmt", "yuv420p",
)  # fmt: skip
# Nothing in the file that depends on the day or on the version of the muxer; the index first, for streaming.
BIT_EXACT = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart")


def fetch_pictures(work: Path) -> dict[str, NDArray[np.uint8]]:
    """Return the pictures (512, 512, 3) in BGR by name, from the verified wheel in `work`.

    Raises:
        RecipeError: the wheel cannot be had or is not the one expected.
    """
    wheel = fetch_wheel(PICTURES_WHEEL, work)
    pictures = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in PICTURES:
            encoded = np.frombuffer(archive.read(f"skimage/data/{name}.png"), np.uint8)
            pictures[name] = cast("NDArray[np.uint8]", cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return pictures


def encode(pictures: Iterable[NDArray[np.uint8]], path: Path) -> None:
    """Write BGR frames as the clip.

    Raises:
        RecipeError: ffmpeg is missing or failed.
    """
    if shutil.which("ffmpeg") is None:
        raise RecipeError("ffmpeg is not on the PATH; install it with libx264 (Debian: apt-get install ffmpeg)")
    raw = ("-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FRAMES_A_SECOND), "-i", "-")
    command = ["ffmpeg", "-v", "error", "-y", *raw, *CAMERA_LIKE, *BIT_EXACT, str(path)]
    content = b"".join(picture.tobytes() for picture in pictures)
    done = subprocess.run(command, input=content, capture_output=True, check=False)
    if done.returncode != 0:
        raise RecipeError(f"ffmpeg: {' '.join(done.stderr.decode(errors='replace').split())}")


def main(words: Sequence[str] | None = None) -> int:
    """Make the clip; 1 and one line on stderr when that fails."""
    parser = argparse.ArgumentParser(prog="python -m recipes.clip.build", description="Make the built-in clip.")
    parser.add_argument("--out", type=Path, default=SHIPPED_FOLDER, help="where to write (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="keeps the download for the next time (default: a temporary folder)")
    arguments = parser.parse_args(words)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            work: Path = arguments.work or Path(temporary)
            for folder in (work, arguments.out):
                folder.mkdir(parents=True, exist_ok=True)
            path: Path = arguments.out / CLIP_NAME
            encode(frames(fetch_pictures(work)), path)
            print(f"{sha256_of(path)}  {path.stat().st_size:>9}  {path.name}")
            check_sha256(path, CLIP_SHA256, "are OpenCV and FFmpeg the versions that recipes/README.md names?")
    except (RecipeError, OSError) as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
