"""Take a recorded clip through the same stages, every frame, as fast as it goes; the same clip gives the same bytes."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import Progress

from edge_agent import app
from edge_agent.cli.files import load_settings
from edge_agent.cli.live import ruling
from edge_agent.config import CameraSettings, Settings
from edge_agent.errors import SourceError
from edge_agent.pipeline import Pipeline
from edge_agent.records import Detections, Frame, Message, Motion, Tracks
from edge_agent.tools.annotate import Annotator
from edge_agent.tools.replay import begun_at, replay
from edge_agent.tools.trails import Keep, keep_at


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("clip", type=Path, help="a video file, or a folder of pictures")
    parser.add_argument("-c", "--config", type=Path, required=True, help="the YAML file")
    parser.add_argument("--camera", metavar="NAME", help="whose settings to use; the first camera's when left out")
    parser.add_argument(
        "--events", metavar="FILE", default="-", help="where the events go, a JSON object a line; - is here"
    )
    parser.add_argument(
        "--at",
        type=moment,
        metavar="TIME",
        help="when the clip begins, for schedules, such as 2026-06-01T23:00; by the device's clock unless +HH:MM or Z "
        "stands behind it",
    )
    parser.add_argument(
        "--explain", type=Path, metavar="FILE", help="also write what `edge-agent explain --trail FILE` explains"
    )
    parser.add_argument(
        "--annotate", type=Path, metavar="OUT.mp4", help="also write the clip with what was seen drawn on it"
    )


def run(args: argparse.Namespace) -> int:
    """Replay, and print every event."""
    settings = load_settings(args.config)
    camera = app.camera_of(settings, args.camera)
    with contextlib.ExitStack() as stack:
        output = _output(args.events, stack)
        keep = keep_at(_output(str(args.explain), stack)) if args.explain else None
        begun_ns = round(app.almanac_of(settings).utc_s(args.at) * 1e9) if args.at else None
        for message in replay_clip(args.clip, settings, camera, args.annotate, begun_ns, keep):
            if message.kind != "state":
                print(_line(message), file=output, flush=True)
    return 0


def moment(text: str) -> datetime:
    """Read a moment as ISO 8601 writes it, with or without an offset."""
    try:
        return datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no moment such as 2026-06-01T23:00") from None


def replay_clip(
    clip: Path,
    settings: Settings,
    camera: CameraSettings,
    annotate: Path | None,
    begun_ns: int | None = None,
    keep: Keep | None = None,
) -> Iterator[Message]:
    """Replay a clip for a camera, draw it if asked to, and give every message.

    Args:
        clip: a file or a folder of pictures.
        settings: the configuration.
        camera: whose settings to use.
        annotate: where to draw it.
        begun_ns: when it is to have begun, nanoseconds since 1970; None for what it says itself.
        keep: what keeps its trail.

    Raises:
        SourceError: the clip cannot be read, or the drawing not be written.
        FatalError: the configuration or the model is wrong.
    """
    frames: Iterator[Frame] = app.open_recording(clip).frames()
    if begun_ns is not None:
        frames = begun_at(frames, begun_ns)
    vision = app.load_model(settings)
    pipeline = app.build_replay(settings, camera, vision, app.replay_run_id(clip, settings, begun_ns), keep=keep)
    spy = TrackSpy(pipeline)
    with contextlib.ExitStack() as stack:
        annotator = None
        if annotate:
            zones = {name: zone.polygon for name, zone in camera.zones.items()}
            if camera.ground:
                zones[f"{camera.ground.width_m:g} x {camera.ground.length_m:g} m"] = camera.ground.corners
            lines = {name: (line.start, line.end) for name, line in camera.lines.items()}
            annotator = stack.enter_context(contextlib.closing(Annotator(annotate, zones, lines)))
        progress = stack.enter_context(
            Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
        )
        bar = progress.add_task(clip.name, total=None)
        asks_the_date = begun_ns is None and _has_schedule(camera)
        for frame, messages in replay(spy.pipeline, frames):
            progress.update(bar, advance=1)
            if asks_the_date and frame.utc_ns < _NO_DATE_NS:
                _warn(
                    f"{clip.name} does not say when it was recorded, so schedules go by 1970; --at says when it began"
                )
            asks_the_date = False
            if annotator:
                said = [caption(message) for message in messages if message.kind != "state"]
                annotator.draw(spy.frame or frame, spy.tracks.live, said)
            yield from messages


def _has_schedule(camera: CameraSettings) -> bool:
    return any(one.schedule for one in (*camera.lines.values(), *camera.rules))


def _warn(line: str) -> None:
    print(f"edge-agent: {line}", file=sys.stderr)


_NO_DATE_NS = 365 * 86_400 * 10**9
"""Before that there was no digital video: what counts from 1970 does not know when it was taken."""


class TrackSpy:
    """A pipeline whose tracks can be read after each step, and the frame as its stages saw it, for drawing."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.tracks = Tracks(live=())
        self.frame: Frame | None = None
        self._blank, self._update = pipeline.blank, pipeline.update
        self.pipeline = replace(pipeline, blank=self._note_frame, update=self._note)

    def _note_frame(self, frame: Frame) -> Frame:
        self.frame = self._blank(frame)
        return self.frame

    def _note(self, found: Detections | None, at_s: float, motion: Motion, frame: Frame) -> Tracks:
        self.tracks = self._update(found, at_s, motion, frame)
        return self.tracks


def caption(message: Message) -> str:
    """An event in a few words."""
    event = json.loads(message.payload)
    words = [event["event_type"]]
    if "object" in event:
        words += [event["object"]["id"], event["object"]["label"]]
    if "rule" in event:
        words.append(ruling(event["rule"]))
    return f"{' '.join(words)}: {', '.join(event['reason'])}"


def _line(message: Message) -> str:
    # The payload is written as it would be sent, byte for byte.
    return f'{{"topic":{json.dumps(message.topic)},"payload":{message.payload.decode()}}}'


def _output(path: str, stack: contextlib.ExitStack) -> TextIO:
    if path == "-":
        return sys.stdout
    try:
        return stack.enter_context(Path(path).open("w", encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"cannot write {path}: {error.strerror}; is its folder there?") from error
