"""What is in force: the configuration with what commands changed of it, which is kept over restarts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from edge_agent.camera_line import Dial
from edge_agent.edges.clock import Clock
from edge_agent.edges.kept import KeptFile
from edge_agent.errors import StorageError
from edge_agent.records import InForce, Message
from edge_agent.stages.commands import changes as changing
from edge_agent.stages.commands.changes import Change
from edge_agent.stages.commands.command import SETTING_NAMES, SettingName, value_text
from edge_agent.stages.encode import native
from edge_agent.stages.encode.native import iso_time
from edge_agent.stages.encode.topics import Topics

_log = logging.getLogger(__name__)


class Changes:
    """The changes of all cameras; one thread makes them, any may read `now` and `report`.

    Args:
        configured: what the configuration says, by camera.
        dials: where each camera's pipeline reads what is in force.
        file: where they are kept.
        clock: tells since when, and when one ends by itself.
    """

    def __init__(
        self, configured: Mapping[str, InForce], dials: Mapping[str, Dial], file: KeptFile, clock: Clock
    ) -> None:
        self._configured = configured
        self._dials = dials
        self._file = file
        self._clock = clock
        self._over_s: dict[tuple[str, SettingName], float] = {}
        self.now: tuple[Change, ...] = ()

    def restore(self) -> None:
        """Take up what an earlier run has kept, as far as that still holds."""
        content = self._file.read()
        if content is None:
            return
        try:
            kept = changing.from_json(content)
        except ValueError as error:
            _log.warning("%s is not understood, and counts as empty: %s", self._file.path, error)
            return
        valid = changing.still_valid(kept, self._configured)
        for change in kept:
            if change not in valid:
                why = "its camera is gone, or the configuration says something else since"
                _log.warning('camera "%s": the changed %s is dropped: %s', change.camera, change.name, why)
        self.now = valid
        for change in valid:
            if change.until_utc_ns is not None:
                # By the wall clock, which may be wrong: never longer than it was to last.
                lasts_s = (change.until_utc_ns - change.since_utc_ns) / 1e9
                left_s = (change.until_utc_ns - self._clock.utc_ns()) / 1e9
                self._over_s[change.camera, change.name] = self._clock.monotonic_s() + min(left_s, lasts_s)
            _log.info(
                'camera "%s": %s is %s, as a command has set it', change.camera, change.name, value_text(change.value)
            )
        self._apply()
        if valid != kept:
            self._forget_those_dropped()

    def set(self, cameras: Iterable[str], name: SettingName, value: bool | float | None, for_s: float | None) -> None:  # noqa: FBT001
        """Change a setting of some cameras; to None is back to the configuration.

        Raises:
            StorageError: it is in force, but will not be after a restart.
        """
        utc_ns = self._clock.utc_ns()
        for camera in cameras:
            self._over_s.pop((camera, name), None)
            if value is None:
                self.now = changing.without(self.now, camera, name)
                continue
            if for_s is not None:
                self._over_s[camera, name] = self._clock.monotonic_s() + for_s
            change = Change(
                camera=camera,
                name=name,
                value=value,
                configured=getattr(self._configured[camera], name),
                since_utc_ns=utc_ns,
                until_utc_ns=None if for_s is None else utc_ns + round(for_s * 1e9),
            )
            self.now = changing.with_change(self.now, change)
        self._apply()
        self._file.write(changing.to_json(self.now))

    def end_those_over(self) -> bool:
        """Undo what was to last until now; false when nothing was.

        Raises:
            StorageError: as `set`.
        """
        now_s = self._clock.monotonic_s()
        over = [key for key, over_s in self._over_s.items() if over_s <= now_s]
        for camera, name in over:
            _log.info('camera "%s": %s is as configured again', camera, name)
            self.set([camera], name, None, None)
        return bool(over)

    def states(self, topics: Topics, disabled: Iterable[str]) -> list[Message]:
        """What is in force, as it is published; a camera that is disabled is not looked at."""
        blind = set(disabled)
        return [
            native.in_force(
                topics,
                camera,
                name,
                False if name == "detect" and camera in blind else getattr(dial.now, name),
            )
            for camera, dial in self._dials.items()
            for name in SETTING_NAMES
        ]

    def report(self) -> list[dict[str, Any]]:
        """What is changed, for the health report."""
        return [
            {
                "camera": change.camera,
                "name": change.name,
                "value": change.value,
                "configured": change.configured,
                "since": iso_time(change.since_utc_ns),
                "until": None if change.until_utc_ns is None else iso_time(change.until_utc_ns),
            }
            for change in self.now
        ]

    def _forget_those_dropped(self) -> None:
        """Else one would come back as soon as the configuration says again what it said then."""
        try:
            self._file.write(changing.to_json(self.now))
        except StorageError as error:
            _log.warning("what was dropped may come back with a later configuration: %s", error)

    def _apply(self) -> None:
        for camera, dial in self._dials.items():
            now = changing.in_force(self._configured[camera], camera, self.now)
            if now != dial.now:
                dial.now = now
