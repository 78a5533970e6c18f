"""Make the built-in clip from OpenCV's example video: `python -m recipes.clip.build [--out DIR]`.

The same bytes each time, given the same FFmpeg.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.checksum import check_sha256, sha256_of
from recipes.errors import FetchError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

SHIPPED_FOLDER = Path(__file__).parents[2] / "edge_agent" / "clips"
CLIP_NAME = "pedestrians.mp4"
CLIP_SHA256 = "90deaeed682230800fbd3f3cd6fb4a13469cb06b07d348a2dba62306315e6ed8"

# Debian's package of OpenCV's examples; the video in it has not changed for years, the package's version may.
PACKAGE = "opencv-doc"
VIDEO_IN_PACKAGE = Path("usr/share/doc/opencv-doc/examples/data/vtest.avi")
VIDEO_SHA256 = "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf"

EXCERPT = ("-ss", "15", "-t", "25")  # seconds; nine persons by the published ground truth, up to seven at once
# As a camera encodes: no look-ahead, no B-frames, key frames on the beat. x264's output depends on its threads: one.
CAMERA_LIKE = (
    "-an", "-c:v", "libx264", "-preset", "veryslow", "-tune", "zerolatency", "-crf", "31", "-g", "30", "-bf", "0",
    "-sc_threshold", "0", "-threads", "1", "-pix_fmt", "yuv420p",
)  # fmt: skip
# Nothing in the file that depends on the day or on the version of the muxer; the index first, for streaming.
BIT_EXACT = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart")


def fetch_video(work: Path) -> Path:
    """Download Debian's package and unpack the video from it; nothing is installed.

    Raises:
        FetchError: the package cannot be had.
        RecipeError: the video in it is not the one expected.
    """
    _run("apt-get", "download", PACKAGE, folder=work, missing="this recipe needs Debian or Ubuntu")
    package = next(work.glob(f"{PACKAGE}_*.deb"))
    _run("dpkg-deb", "--extract", str(package), str(work), folder=work, missing="this recipe needs Debian or Ubuntu")
    video = work / VIDEO_IN_PACKAGE
    check_sha256(video, VIDEO_SHA256, f"{PACKAGE} ships another video now: look at it, then change the recipe")
    return video


def transcode(video: Path, clip: Path) -> None:
    """Write the excerpt as a camera would have encoded it.

    Raises:
        RecipeError: FFmpeg is missing or failed.
    """
    command = ["ffmpeg", "-v", "error", "-y", *EXCERPT, "-i", str(video), *CAMERA_LIKE, *BIT_EXACT, str(clip)]
    _run(*command, folder=clip.parent, missing="install it with libx264 (Debian: apt-get install ffmpeg)")


def _run(program: str, *words: str, folder: Path, missing: str) -> None:
    if shutil.which(program) is None:
        raise FetchError(f"{program} is not on the PATH; {missing}")
    done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FetchError(f"{program} failed: {' '.join(done.stderr.split())}")


def main(words: Sequence[str] | None = None) -> int:
    """Make the clip; 1 and one line on stderr when that fails."""
    parser = argparse.ArgumentParser(prog="python -m recipes.clip.build", description="Make the built-in clip.")
    parser.add_argument("--out", type=Path, default=SHIPPED_FOLDER, help="where to write (default: %(default)s)")
    arguments = parser.parse_args(words)
    clip: Path = arguments.out.absolute() / CLIP_NAME
    try:
        clip.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as work:
            transcode(fetch_video(Path(work)), clip)
        print(f"{sha256_of(clip)}  {clip.stat().st_size:>9}  {clip.name}")
        check_sha256(clip, CLIP_SHA256, "is FFmpeg the version that recipes/README.md names?")
    except (RecipeError, OSError) as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
