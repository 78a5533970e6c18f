"""Run the main job with nothing else installed: a real broker, a real model, real people in a real clip."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from edge_agent import app, clips
from edge_agent.cli.live import LiveTable
from edge_agent.cli.main import EXIT_FAILED
from edge_agent.cli.replay import replay_clip
from edge_agent.cli.stopping import tidily
from edge_agent.config import Settings
from edge_agent.errors import StorageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder for the annotated clip")


@tidily()
def run(args: argparse.Namespace) -> int:
    """Run it; 1 when nobody was seen."""
    console = Console()
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"--out {args.out}: cannot make the folder: {error.strerror}") from error
    with tempfile.TemporaryDirectory() as folder, app.demo_broker(Path(folder)) as (broker, url):
        settings = demo_settings(url, Path(folder))
        console.print(f"broker    {broker} on {url}, this machine only")
        console.print(f"camera    the built-in clip {clips.PEDESTRIANS.name}, at its own pace: 25 s")
        console.print(f"watching  {settings.mqtt.prefix}/#, as Home Assistant or Node-RED would\n")
        table = LiveTable(console)
        with contextlib.closing(app.listen(settings.mqtt, f"{settings.mqtt.prefix}/#")) as listener:
            table.show(_while_running(settings, listener.messages))
    annotated = args.out / "pedestrians.mp4"
    console.print("\nDrawing what was understood onto the clip …")
    for _message in replay_clip(clips.PEDESTRIANS, settings, settings.cameras[0], annotated):
        pass
    console.print(_summary(table, annotated), highlight=False)
    return 0 if table.objects else EXIT_FAILED


def demo_settings(url: str, folder: Path) -> Settings:
    """What the demo runs: one camera, two zones, everything else as it is by default."""
    return Settings.model_validate(
        {
            "device": {"id": "demo"},
            "mqtt": {"url": url},
            "cameras": [
                {
                    "id": "campus",
                    "source": app.recording_url(clips.PEDESTRIANS),
                    "zones": {
                        "crossing": {"polygon": [[0.35, 0.38], [0.8, 0.4], [0.95, 0.75], [0.5, 0.62]]},
                        "road": {"polygon": [[0.0, 0.33], [0.35, 0.38], [0.5, 0.62], [0.0, 0.42]]},
                    },
                }
            ],
            "outbox": {"path": folder / "outbox.db"},
        }
    )


def _while_running(
    settings: Settings, hear: Callable[[threading.Event], Iterator[tuple[str, bytes]]]
) -> Iterator[tuple[str, bytes]]:
    """Run the agent in a thread of its own, and give what arrives over MQTT until the agent is done."""
    stop = threading.Event()
    agent_done = threading.Event()

    def run_agent() -> None:
        try:
            app.Agent(settings=settings).run(stop)
        finally:
            agent_done.set()

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(run_agent)
        try:
            yield from hear(agent_done)
        finally:
            stop.set()
        running.result()


def _summary(table: LiveTable, annotated: Path) -> str:
    types = ", ".join(f"{count} {name}" for name, count in sorted(table.event_types.items()))
    return f"""
{len(table.objects)} objects were reported in {sum(table.event_types.values())} events over MQTT ({types}).
Nine people walk through the clip: who is lost behind the post comes back as a new object. That is where the tracker
stands.
No picture was sent: an event has no field that could hold one.
See for yourself what was understood: {annotated}

Next, your own camera and broker. Write this to config.yaml:

  device: {{id: my-box}}
  mqtt: {{url: "mqtt://192.168.1.10:1883"}}
  cameras:
    - id: front
      source: rtsp://user:${{CAMERA_PASSWORD}}@192.168.1.20/stream
  outbox: {{path: outbox.db}}

then: edge-agent check config.yaml && edge-agent run -c config.yaml
"""
