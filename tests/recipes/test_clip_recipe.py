"""The clip that ships is the one the recipe makes, and is what the demo needs."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from recipes.checksum import sha256_of
from recipes.clip import build
from recipes.errors import FetchError

CLIP = Path(build.__file__).parents[2] / "edge_agent" / "clips" / build.CLIP_NAME
LARGEST_BYTES = 1_000_000


def test_the_shipped_clip_is_the_one_the_recipe_pins_and_its_card_names() -> None:
    assert sha256_of(CLIP) == build.CLIP_SHA256
    assert build.CLIP_SHA256 in CLIP.with_suffix(".md").read_text(encoding="utf-8")
    assert build.VIDEO_SHA256 in CLIP.with_suffix(".md").read_text(encoding="utf-8")


def test_the_clip_is_h264_of_20_to_30_seconds_under_one_megabyte() -> None:
    assert CLIP.stat().st_size < LARGEST_BYTES
    with av.open(str(CLIP)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        frames = sum(1 for _ in container.decode(stream))
    # 25 s at 10 frames a second.
    assert frames == 250


def test_a_missing_tool_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match="apt-get is not on the PATH; this recipe needs Debian or Ubuntu"):
        build.fetch_video(tmp_path)
    with pytest.raises(FetchError, match="ffmpeg is not on the PATH; install it with libx264"):
        build.transcode(tmp_path / "video.avi", tmp_path / "clip.mp4")
