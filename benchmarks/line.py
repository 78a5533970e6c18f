"""One of our own ways of `pipeline.py`, in a process of its own: prints what it took."""

from __future__ import annotations

import json
import random
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av

from edge_agent import app
from edge_agent.app.brokers import delivery_brokers
from edge_agent.config import Settings
from edge_agent.edges import allocator
from edge_agent.edges.clock import Backoff, Clock, SystemClock
from edge_agent.edges.deliver import Deliverer
from edge_agent.edges.outbox import Outbox
from edge_agent.edges.sources import open_source
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.records import Frame
from edge_agent.vision import load_vision

LOOKS_A_SECOND = 5.0
Counts = dict[str, float]


def limit(job: dict[str, Any], every: int = 1) -> Counts:
    """Decode everything, and run the bare model."""
    vision = load_vision(app.one_camera(Path(job["clip"]), "default", {}).model)
    blob, looks, frames = vision.blank(), 0, 0
    clocks = started()
    with av.open(job["clip"]) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frames, _picture in enumerate(container.decode(stream), 1):
            if (frames - 1) % every == 0:
                vision.infer(blob)
                looks += 1
    return {"frames": frames, "looks": looks, "things": 0, **clocks}


def line(job: dict[str, Any], *, every_frame: bool) -> Counts:
    """The agent's line, outbox and delivery, as fast as it goes."""
    detect = {"labels": ["person"], "rate_hz": 60 if every_frame else LOOKS_A_SECOND}
    settings = app.one_camera(Path(job["clip"]), "default", detect)
    camera = settings.cameras[0]
    if every_frame:
        camera = camera.model_copy(update={"gate": camera.gate.model_copy(update={"mode": "off"})})
    mqtt = settings.mqtt.model_copy(update={"url": f"mqtt://127.0.0.1:{job['port']}"})
    folder = Path(job["folder"])
    outbox_settings = settings.outbox.model_copy(update={"path": folder / f"{time.time_ns()}.db"})
    settings = settings.model_copy(update={"mqtt": mqtt, "cameras": (camera,), "outbox": outbox_settings})
    allocator.give_back_pictures()
    vision, clock, stop = load_vision(settings.model), SystemClock(), threading.Event()
    outbox = Outbox(settings.outbox, clock)
    delivery = threading.Thread(target=deliverer(settings, outbox, clock).run, args=(stop,), daemon=True)
    delivery.start()
    pipeline = app.build_replay(settings, camera, vision, app.new_run_id())
    counts: Counts = {"frames": 0, "looks": 0, "things": 0, **started()}
    detector = pipeline.detect

    def counted(*args: Any) -> Any:
        counts["looks"] += 1
        found = detector(*args)
        counts["things"] += 0 if found is None else int(found.strong.sum())
        return found

    pipeline = replace(pipeline, detect=counted)
    source = open_source(camera.source, CaptureSettings(), clock, stop, pace="as_fast")
    last: Frame | None = None
    for frame in _frames(source.frames()):
        outbox.put(pipeline.step(frame))
        counts["frames"] += 1
        last = frame.emptied()
    if last is not None:
        outbox.put(pipeline.finish(last))
    stop.set()
    delivery.join()
    outbox.close()
    return counts


def deliverer(settings: Settings, outbox: Outbox, clock: Clock) -> Deliverer:
    """What sends what waits in the outbox, and hears nothing."""
    mqtt = settings.mqtt
    return Deliverer(
        outbox=outbox,
        connect=delivery_brokers(settings, clock).connect,
        clock=clock,
        settings=mqtt,
        backoff=Backoff(first_s=mqtt.retry_first_s, cap_s=mqtt.retry_cap_s, uniform=random.uniform),
        subscriptions=(),
        beat=lambda: None,
    )


def _frames(given: Iterator[Frame | None]) -> Iterator[Frame]:
    return (frame for frame in given if frame is not None)


WAYS: dict[str, Callable[[dict[str, Any]], Counts]] = {
    "limit": limit,
    "edge-agent": partial(line, every_frame=True),
    "limit, 5 looks a second": partial(limit, every=3),
    "edge-agent, as it comes": partial(line, every_frame=False),
}


def main() -> None:
    """Run the way that is asked for."""
    job = json.loads(sys.argv[1])
    counts = WAYS[job["way"]](job)
    frames = counts["frames"]
    cpu_s, wall_s = time.process_time() - counts.pop("cpu_s"), time.perf_counter() - counts.pop("wall_s")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({**counts, "cpu_ms": cpu_s * 1000 / frames, "fps": frames / wall_s, "peak_mb": peak_mb}))


def started() -> Counts:
    """The clocks, when all is set up and the first picture is about to be read."""
    return {"cpu_s": time.process_time(), "wall_s": time.perf_counter()}


if __name__ == "__main__":
    main()
