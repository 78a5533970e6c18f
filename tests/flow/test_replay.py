"""A recorded clip through the same stages: the same bytes twice, a drawing on request, real people counted right."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import av
import program
import pytest
import videos
import yaml
from data import shared_data
from program import camera, run_program, write_config

from edge_agent.clips import PEDESTRIANS

CLIP_FRAMES = 250  # pedestrians.md says so


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = {
        "device": {"id": program.DEVICE},
        "cameras": [camera(zones=program.ZONES), camera("picky", detect={"thresholds": {"person": 0.8}})],
    }
    return write_config(tmp_path_factory.mktemp("replay") / "config.yaml", settings)


@pytest.fixture(scope="module")
def printed(config: Path) -> str:
    """What a replay of the built-in clip prints."""
    return replay(PEDESTRIANS, config)


def replay(clip: Path, config: Path, *more: str | Path) -> str:
    done = run_program("replay", clip, "-c", config, *more, cwd=config.parent)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def events_of(lines: str) -> list[dict[str, Any]]:
    """The events of a replay, each held against the contract."""
    events = []
    for line in lines.splitlines():
        said = json.loads(line)
        payload = line.removeprefix(f'{{"topic":{json.dumps(said["topic"])},"payload":').removesuffix("}")
        event = program.check_event(payload.encode())
        assert said["topic"] == f"{program.ROOT}/camera/{event['camera']}/event"
        events.append(event)
    return events


def test_the_same_clip_and_configuration_give_the_same_bytes_twice_whether_printed_or_written(
    config: Path, printed: str
) -> None:
    assert replay(PEDESTRIANS, config, "--events", "events.jsonl") == ""
    assert (config.parent / "events.jsonl").read_text(encoding="utf-8") == printed
    events = events_of(printed)
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert len({event["run_id"] for event in events}) == 1
    assert sorted(program.objects(events, "new")) == sorted(program.objects(events, "end"))
    assert len(set(program.objects(events, "new"))) == len(program.objects(events, "new")) >= 5
    assert {event["event_type"] for event in events} == {"new", "update", "end"}


def test_a_clip_begins_when_it_is_said_to_by_the_clock_of_the_device(config: Path, tmp_path: Path) -> None:
    short = videos.excerpt(PEDESTRIANS, tmp_path / "short.mp4", last_s=3.0)
    settings = yaml.safe_load(config.read_text())
    settings["device"]["timezone"] = "Europe/Berlin"
    berlin = write_config(tmp_path / "berlin.yaml", settings)
    summer, winter, utc = (
        events_of(replay(short, berlin, "--at", at))
        for at in ("2026-06-01T23:00", "2026-12-01T23:00", "2026-12-01T22:00:00z")
    )
    assert summer[0]["time"].startswith("2026-06-01T21:00:0")
    assert winter[0]["time"].startswith("2026-12-01T22:00:0")
    assert [utc, summer == winter] == [winter, False]
    plain = events_of(replay(short, berlin))
    assert [event["duration_s"] for event in plain] == [event["duration_s"] for event in summer]
    assert len({events[0]["event_id"] for events in (plain, summer, winter)}) == 3


def test_schedules_and_the_ground_are_those_of_the_file(tmp_path: Path) -> None:
    short = videos.excerpt(PEDESTRIANS, tmp_path / "short.mp4", last_s=6.0)
    settings = {
        "device": {"id": program.DEVICE, "timezone": "Europe/London", "location": [51.44, -0.94]},
        "cameras": [
            camera(
                ground={
                    "corners": [[0.3, 0.41], [0.7, 0.41], [0.765, 0.54], [0.235, 0.54]],
                    "width_m": 7,
                    "length_m": 5,
                },
                lines={"middle": {"from": [0.5, 0.6], "to": [0.5, 0.25], "schedule": {"from": "22:00", "to": "06:00"}}},
                rules=[
                    {"name": "dark", "kind": "dwell", "after_s": 2, "schedule": {"from": "sunset", "to": "sunrise"}},
                    {"name": "sunday", "kind": "dwell", "after_s": 2, "schedule": [{"days": ["sun"]}]},
                    {"name": "moves", "kind": "speed", "over_kmh": 2},
                ],
            )
        ],
    }
    hours = write_config(tmp_path / "hours.yaml", settings)

    def who_spoke(at: str) -> set[str]:
        events = events_of(replay(short, hours, "--at", at))
        assert any("speed_kmh" in event["object"] for event in events)
        return {event["rule"]["name"] for event in events if "rule" in event}

    # In London the sun sets at 21:08 on 2026-06-01, a Monday, and rises at 04:50.
    assert who_spoke("2026-06-01T23:00") == {"middle", "dark", "moves"}
    assert who_spoke("2026-06-01T21:30") == {"dark", "moves"}
    assert who_spoke("2026-06-01T21:00") == {"moves"}
    assert who_spoke("2026-05-31T12:00") == {"sunday", "moves"}
    assert who_spoke("2026-05-31T21:00:00Z") == {"sunday", "middle", "dark", "moves"}  # 22:00 by the clock there
    done = run_program("replay", short, "-c", hours, "--annotate", "drawn.mp4", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == (
        "edge-agent: short.mp4 does not say when it was recorded, so schedules go by 1970; --at says when it began\n"
    )


def test_what_is_no_moment_is_wrong_usage(config: Path) -> None:
    done = run_program("replay", PEDESTRIANS, "-c", config, "--at", "noon", cwd=config.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("argument --at: noon is no moment such as 2026-06-01T23:00\n")


def test_the_settings_are_those_of_the_camera_that_was_asked_for(config: Path, printed: str) -> None:
    first, picky = events_of(printed), events_of(replay(PEDESTRIANS, config, "--camera", "picky"))
    assert {event["camera"] for event in first} == {"front"}
    assert {event["camera"] for event in picky} == {"picky"}
    assert 0 < len(program.objects(picky, "new")) < len(program.objects(first, "new"))


def test_a_clip_is_the_same_under_another_name_and_another_one_when_it_is_cut(
    config: Path, printed: str, tmp_path: Path
) -> None:
    short = videos.excerpt(PEDESTRIANS, tmp_path / "short.mp4", last_s=3.0)
    renamed = Path(shutil.copy(short, tmp_path / "renamed.mp4"))
    lines = replay(short, config)
    assert lines == replay(renamed, config)
    assert events_of(lines)[0]["run_id"] != events_of(printed)[0]["run_id"]


def test_the_drawing_is_a_film_of_as_many_frames_and_changes_no_event(
    config: Path, printed: str, tmp_path: Path
) -> None:
    assert replay(PEDESTRIANS, config, "--annotate", tmp_path / "out.mp4") == printed
    with av.open(str(tmp_path / "out.mp4")) as drawn:
        stream = drawn.streams.video[0]
        assert (stream.width, stream.height) == (768, 576)
        frames = list(drawn.decode(stream))
    assert len(frames) == CLIP_FRAMES
    assert frames[-1].time == pytest.approx((CLIP_FRAMES - 1) / 10, abs=0.01)  # 10 frames a second
    with av.open(str(PEDESTRIANS)) as original:
        before = next(picture for picture in original.decode(video=0) if picture.time and picture.time > 6)
    after = next(picture for picture in frames if picture.time and picture.time > 6)
    assert abs(after.to_ndarray(format="gray").astype(int) - before.to_ndarray(format="gray")).max() > 100


def test_a_folder_of_pictures_is_replayed_in_the_order_of_their_numbers(config: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    with av.open(str(PEDESTRIANS)) as clip:
        for index, picture in enumerate(clip.decode(video=0)):
            if index % 2 == 0 and index < 60:  # 5 a second, as a folder of pictures is taken
                write_picture(pictures / f"{index}.jpg", picture)
    events = events_of(replay(pictures, config))
    assert program.objects(events, "new")
    assert sorted(program.objects(events, "new")) == sorted(program.objects(events, "end"))
    assert all(event["frame"]["seq"] < 30 for event in events)
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


def write_picture(path: Path, picture: av.VideoFrame) -> None:
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream: Any = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuvj420p"
        full = picture.reformat(format="yuvj420p")
        full.pts = 0
        container.mux(stream.encode(full))
        container.mux(stream.encode(None))


def test_six_people_who_come_one_by_one_are_six_objects(config: Path) -> None:
    clip = shared_data("video/one-by-one-person-detection.mp4")
    events = events_of(replay(clip, config))
    types = Counter(event["event_type"] for event in events)
    assert (types["new"], types["end"]) == (6, 6)
    began, ended = program.objects(events, "new"), program.objects(events, "end")
    assert len(set(began)) == 6
    # One by one: each has gone before the next one comes.
    assert began == ended
    spans = [event["event_type"] for event in events if event["event_type"] != "update"]
    assert spans == ["new", "end"] * 6
