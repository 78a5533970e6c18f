"""What each command does: a table from its name to a few lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge_agent.camera_line import Line
from edge_agent.commands.kept import Changes
from edge_agent.commands.reload import Answering, Reload
from edge_agent.edges.outbox import Outbox
from edge_agent.errors import StorageError
from edge_agent.stages.commands.command import Command, Name, SettingName
from edge_agent.stages.encode.topics import Topics

_OVER = {"ended", "stopped"}


class NotDoneError(Exception):
    """It cannot be done; one line says why."""


@dataclass(kw_only=True, eq=False)
class Doings:
    """Does commands, one at a time, in one thread.

    Attributes:
        topics: of the device.
        lines: the cameras, by their ids.
        changes: what is in force.
        outbox: where states go.
        reload: what begins the agent again.
    """

    topics: Topics
    lines: Mapping[str, Line]
    changes: Changes
    outbox: Outbox
    reload: Reload

    def do(self, command: Command, answering: Answering) -> bool:
        """Do it; true when it is done, false when `answering` is called later.

        Raises:
            NotDoneError: it cannot be done.
        """
        try:
            return not _DOINGS[command.name](self, command, answering)
        except StorageError as error:
            raise NotDoneError(f"it is in force until the next restart only: {error}") from error

    def begin(self) -> None:
        """Say what is in force."""
        self.outbox.put(self.changes.states(self.topics, self._disabled()))

    def tick(self) -> None:
        """End what was to last until now."""
        try:
            is_news = self.changes.end_those_over()
        except StorageError:
            is_news = True  # what the disk does not take is taken when something is changed next
        if is_news:
            self.begin()

    def _ping(self, _command: Command, _answering: Answering) -> None:
        pass

    def _resync(self, _command: Command, _answering: Answering) -> None:
        self.outbox.redirty()

    def _reload(self, _command: Command, answering: Answering) -> bool:
        if (why := self.reload.ask(answering)) is not None:
            raise NotDoneError(why)
        return True

    def _restart_camera(self, command: Command, _answering: Answering) -> None:
        capture = self._enabled(command.camera).capture
        if capture.status().state in _OVER:
            raise NotDoneError("its recording is over")
        capture.begin_anew()

    def _pause(self, command: Command, _answering: Answering) -> None:
        self._set(command, "detect", value=False)

    def _resume(self, command: Command, _answering: Answering) -> None:
        self._set(command, "detect", value=None)

    def _detect(self, command: Command, _answering: Answering) -> None:
        self._set(command, "detect", value=command.value)

    def _threshold(self, command: Command, _answering: Answering) -> None:
        self._set(command, "threshold", value=command.value)

    def _rate_hz(self, command: Command, _answering: Answering) -> None:
        self._set(command, "rate_hz", value=command.value)

    def _set(self, command: Command, name: SettingName, *, value: bool | float | None) -> None:
        if command.camera is None:
            cameras = [camera for camera, line in self.lines.items() if line.camera.enabled]
        else:
            cameras = [self._enabled(command.camera).camera.id]
        try:
            self.changes.set(cameras, name, value, command.for_s)
        finally:
            self.begin()

    def _enabled(self, camera: str | None) -> Line:
        line = self.lines[camera or ""]
        if not line.camera.enabled:
            raise NotDoneError("the camera is disabled in the configuration")
        return line

    def _disabled(self) -> list[str]:
        return [camera for camera, line in self.lines.items() if not line.camera.enabled]


_DOINGS: Mapping[Name, Callable[[Doings, Command, Answering], bool | None]] = {
    "ping": Doings._ping,  # noqa: SLF001  (its own table)
    "resync": Doings._resync,  # noqa: SLF001
    "reload": Doings._reload,  # noqa: SLF001
    "restart_camera": Doings._restart_camera,  # noqa: SLF001
    "pause": Doings._pause,  # noqa: SLF001
    "resume": Doings._resume,  # noqa: SLF001
    "detect": Doings._detect,  # noqa: SLF001
    "threshold": Doings._threshold,  # noqa: SLF001
    "rate_hz": Doings._rate_hz,  # noqa: SLF001
}
