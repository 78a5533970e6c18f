"""What is only wrong when settings are seen together, or what a type cannot say.

These look at the file's own texts, not at the finished settings: so they speak even while something else is wrong, and
a text that is of no use to them is left to whoever reports it.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from edge_agent.config import rule_checks, rule_needs
from edge_agent.config.filter_checks import check_filters
from edge_agent.config.looked_for import looked_for_by, nearest_label
from edge_agent.config.tree import Fault, Node
from edge_agent.config.wording import in_a_row, nearest, shown
from edge_agent.edges.mqtt import MqttSettings
from edge_agent.edges.sources.picture import PictureSettings
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.settings import Section, parse_seconds
from edge_agent.stages.encode.homeassistant import HomeAssistantSettings

SCHEMES = (
    "rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt",
    "v4l2", "csi", "gstreamer", "pipe", "watch", "file", "images",
)  # fmt: skip
"""The kinds of camera sources."""

ASKED: Mapping[str, frozenset[str]] = {
    "v4l2": frozenset({"size", "rate_hz", "format", "controls"}),
    "csi": frozenset({"size", "rate_hz", "controls"}),
    "pipe": frozenset({"size", "format"}),
}
"""The kinds that let themselves be asked for something, and for what; others decide by themselves."""

_STREAMS = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt")
"""The kinds whose packets come over the network, so that there is a choice of decoders."""

_PIPELINE = "gstreamer:"

_VIDEO_DEVICE = "/dev/video"
_TLS = "mqtts://"
_PORTS = {"mqtt://": 1883, _TLS: 8883}
_EXTERNAL = "external"


BuiltIn = Mapping[str, tuple[str, ...]]
"""The labels of each built-in model, by its name."""

_DEFAULT_MODEL = "default"


def check(root: Node, folder: Path, built_in: BuiltIn) -> Iterator[Fault]:
    """Find what is wrong between settings; `folder` is what paths in the file are relative to."""
    yield from _one_of(root, "model", "name", "path")
    yield from _head(root)
    yield from _mqtt(root)
    yield from _prefixes(root)
    yield from _timezone(root)
    yield from _camera_ids(root)
    for camera in _cameras(root):
        yield from _source(camera, folder)
        yield from _picture(camera)
        yield from _decoder(camera)
        yield from _retries(camera.keys.get("capture"), CaptureSettings)
        yield from _labels(camera)
        yield from rule_checks.check(camera)
        yield from rule_needs.check(root, camera)
        yield from check_filters(camera)
        yield from _triggers(camera)
    if built_in:
        yield from _model(root, built_in)


def _model(root: Node, built_in: BuiltIn) -> Iterator[Fault]:
    """A built-in model must be there, and know what the cameras look for; of one's own files nothing is known here."""
    if _stated(root, "model", "path"):
        return
    node = _stated(root, "model", "name")
    name = (node.text if node else None) or _DEFAULT_MODEL
    if name not in built_in:
        if node:
            near = nearest(name, built_in)
            hint = f"did you mean `{near}`?" if near else f"there are {in_a_row(map(shown, built_in), 'and')}"
            yield node.fault(f"there is no built-in model {shown(node.written)}; {hint}")
        return
    for camera in _cameras(root):
        labels = camera.find(("detect", "labels"))
        for label in labels.entries if labels else ():
            if label.text is not None and label.text not in built_in[name]:
                near = nearest(label.text, built_in[name])
                hint = f"did you mean `{near}`?" if near else f"`edge-agent models info {name}` lists what it knows"
                yield label.fault(f"model `{name}` knows no {shown(label.written)}; {hint}")


def _cameras(root: Node) -> tuple[Node, ...]:
    cameras = root.find(("cameras",))
    return cameras.entries if cameras else ()


def _one_of(root: Node, section: str, first: str, second: str) -> Iterator[Fault]:
    one, other = _stated(root, section, first), _stated(root, section, second)
    if one and other:
        yield other.key_fault(f"stands beside `{first}` (line {one.key_place.line}); only one of them may")


def _stated(root: Node, section: str, key: str) -> Node | None:
    """The value of a key, None when it is left out or empty."""
    node = root.find((section, key))
    return node if node and node.value is not None else None


def _head(root: Node) -> Iterator[Fault]:
    """What says how the answer of a model of one's own is read is of no use to a built-in one."""
    for key, other in _HEAD.items():
        node = _stated(root, "model", key)
        if node and not _stated(root, "model", other):
            yield node.key_fault(f"needs `{other}` beside it")


_HEAD = {"anchors": "path", "anchor_form": "anchors", "box_scales": "path", "activation": "path"}


def _mqtt(root: Node) -> Iterator[Fault]:
    yield from _one_of(root, "mqtt", "password", "password_file")
    password = _stated(root, "mqtt", "password") or _stated(root, "mqtt", "password_file")
    if password and password.text and not _stated(root, "mqtt", "username"):
        yield password.key_fault("needs `username` beside it; without one no password is sent")
    for key, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        file = _stated(root, "mqtt", key)
        if file and not _stated(root, "mqtt", other):
            yield file.key_fault(f"needs `{other}` beside it")
    yield from _mqtt_urls(root)
    protocol = _stated(root, "mqtt", "protocol")
    if protocol and protocol.text == "3":
        for setting in filter(None, (_stated(root, "mqtt", key) for key in ("expiry_s", "will_delay_s"))):
            yield setting.key_fault("has no effect with `protocol: 3`; MQTT 3.1.1 knows no such thing")
    yield from _retries(root.find(("mqtt",)), MqttSettings)


def _mqtt_urls(root: Node) -> Iterator[Fault]:
    url, further = _stated(root, "mqtt", "url"), _stated(root, "mqtt", "urls")
    nodes = [node for node in (url, *(further.entries if further else ())) if node and node.text]
    for node in nodes:
        if (node.text or "").startswith(("mqtt://", _TLS)):
            yield from _mqtt_url(node, node.text or "")
    yield from _mqtt_twins(nodes, is_first_stated=url is not None)
    secret = [(node.text or "").startswith(_TLS) for node in nodes]
    if any(secret):
        for node in (node for node, has_tls in zip(nodes, secret, strict=True) if not has_tls):
            yield node.fault(f"must begin with {_TLS} like the others; else the password can be read on its way")
    else:
        for file in filter(None, (_stated(root, "mqtt", key) for key in ("ca_file", "cert_file"))):
            yield file.key_fault(f"has no effect without TLS; `url` must begin with {_TLS}")


def _mqtt_twins(nodes: Iterable[Node], *, is_first_stated: bool) -> Iterator[Fault]:
    """A broker that stands there twice would be asked twice, and the others later."""
    known: dict[tuple[str, str, int] | None, str] = {}
    if not is_first_stated:
        known[_broker(MqttSettings().url)] = "of `url`, which it is when left out"
    for node in nodes:
        broker = _broker(node.text or "")
        if broker is None:
            continue
        if broker in known:
            yield node.fault(f"is the broker {known[broker]}; each may stand there once")
        known.setdefault(broker, f"in line {node.place.line} again")


def _broker(url: str) -> tuple[str, str, int] | None:
    """Which broker an address is of, however it is written; None where it is none."""
    if not url.startswith(tuple(_PORTS)) or not _names_a_broker(url):
        return None
    parts = urlsplit(url)
    return (
        parts.scheme,
        parts.hostname or "",
        parts.port or next(port for kind, port in _PORTS.items() if url.startswith(kind)),
    )


def _prefixes(root: Node) -> Iterator[Fault]:
    """Home Assistant's topics and the agent's own are two places."""
    house, own = _stated(root, "homeassistant", "prefix"), _stated(root, "mqtt", "prefix")
    house_is = house.text if house else HomeAssistantSettings().prefix
    own_is = own.text if own else MqttSettings().prefix
    node = house or own
    if node and house_is == own_is:
        other = "mqtt.prefix" if node is house else "homeassistant.prefix"
        yield node.fault(f"is that of `{other}`, too; the two must not mix")


def _mqtt_url(node: Node, url: str) -> Iterator[Fault]:
    if "@" in url:
        yield node.fault("holds a user or a password; write `username` and `password_file` instead")
    elif not _names_a_broker(url):
        yield node.fault("must be mqtt://HOST, mqtt://HOST:PORT or the same with mqtts://")


def _names_a_broker(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is none, or half an IPv6 address
        return False
    return bool(parts.hostname) and port != 0 and not (parts.path.strip("/") or parts.query or parts.fragment)


def _timezone(root: Node) -> Iterator[Fault]:
    node = _stated(root, "device", "timezone")
    if node is None or not node.text:
        return
    try:
        zoneinfo.ZoneInfo(node.text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # a folder, or a path that leads elsewhere
        zones = {zone.lower(): zone for zone in sorted(zoneinfo.available_timezones())}
        near = nearest(node.text, zones)
        hint = f"did you mean `{zones[near]}`?" if near else "they are called as in `Europe/Berlin`"
        yield node.fault(f"there is no time zone {shown(node.written)}; {hint}")


def _retries(node: Node | None, section: type[Section]) -> Iterator[Fault]:
    """The wait before the second try must not be longer than the longest wait."""
    if node is None:
        return
    first_s, cap_s = _seconds(node, section, "retry_first_s"), _seconds(node, section, "retry_cap_s")
    if first_s is not None and cap_s is not None and first_s > cap_s:
        stated = node.keys.get("retry_first_s") or node.keys["retry_cap_s"]
        yield stated.fault("`retry_first_s` is longer than `retry_cap_s`")


def _seconds(node: Node, section: type[Section], key: str) -> float | None:
    """A duration as it is stated, or its default; None when what is stated is none."""
    stated = node.keys.get(key)
    if stated is None or stated.value is None:
        return float(section.model_fields[key].default)
    try:
        parsed = parse_seconds(stated.text)
    except ValueError:
        return None
    return parsed if isinstance(parsed, float) else None


def _camera_ids(root: Node) -> Iterator[Fault]:
    lines: dict[str, int] = {}
    for camera in _cameras(root):
        name = camera.keys.get("id")
        if name is None or name.text is None:
            continue
        if name.text in lines:
            yield name.fault(f"the camera in line {lines[name.text]} has the same id")
        lines.setdefault(name.text, name.place.line)


def _source(camera: Node, folder: Path) -> Iterator[Fault]:
    node = camera.keys.get("source")
    if node is None or not node.text:
        return
    scheme, address = _scheme_of(node.text), _address_of(node.text)
    if not scheme:
        yield node.fault(_without_scheme(node.text, folder))
    elif scheme not in SCHEMES:
        near = nearest(scheme, SCHEMES)
        hint = f"did you mean {_beginning(near)}?" if near else f"known are {_schemes()}"
        yield node.fault(f"begins with an unknown scheme; {hint}")
    elif not address:
        yield node.fault(f"nothing stands after {_beginning(scheme)}")
    elif scheme == "csi" and not address.isdecimal():
        yield node.fault("must be the camera's number, such as csi://0")


def _picture(camera: Node) -> Iterator[Fault]:
    """What is asked of a camera must be something that its kind can be asked for, and a pipe cannot say its size."""
    source, asked = camera.keys.get("source"), camera.keys.get("picture")
    scheme = _scheme_of(source.text) if source and source.text else ""
    if scheme not in SCHEMES:
        return
    for key, node in asked.keys.items() if asked else ():
        is_asked = node.text not in {None, "auto"} or bool(node.entries or node.keys)
        if is_asked and key in PictureSettings.model_fields and key not in ASKED.get(scheme, ()):
            kinds = in_a_row([_beginning(kind) for kind, keys in ASKED.items() if key in keys], "and")
            yield node.key_fault(f"has no effect on {_beginning(scheme)}, only on {kinds}")
    if scheme == "pipe":
        size = camera.find(("picture", "size"))
        if source and (size is None or size.value is None):
            yield source.fault("a pipe needs `picture: {size: [WIDTH, HEIGHT]}`, that of the frames in it")
        form = camera.find(("picture", "format"))
        if form and form.text == "mjpeg":
            yield form.fault("must be a raw format: nothing in a pipe tells where a picture ends")


def _decoder(camera: Node) -> Iterator[Fault]:
    """Hardware that is asked for must be for a stream; whether it is there is known where the agent runs."""
    source, decoder = camera.keys.get("source"), camera.find(("capture", "decoder"))
    scheme = _scheme_of(source.text) if source and source.text else ""
    if decoder is None or decoder.text in {None, "auto", "software"} or scheme not in SCHEMES or scheme in _STREAMS:
        return
    yield decoder.key_fault(
        f"has no effect on {_beginning(scheme)}, only on {in_a_row(map(_beginning, _STREAMS), 'and')}"
    )


def _scheme_of(source: str) -> str:
    """What kind of source it is, known or not; nothing where there is no such thing."""
    if source.startswith(_PIPELINE):
        return "gstreamer"
    scheme, separator, _ = source.partition("://")
    return scheme if separator else ""


def _address_of(source: str) -> str:
    if source.startswith(_PIPELINE):
        return source.removeprefix(_PIPELINE).strip('/" ')
    return source.partition("://")[2]


def _beginning(scheme: str) -> str:
    return _PIPELINE if f"{scheme}:" == _PIPELINE else f"{scheme}://"


def _without_scheme(source: str, folder: Path) -> str:
    if source.startswith(_VIDEO_DEVICE) or source.isdecimal():
        return f"a camera of this machine is written v4l2://{_VIDEO_DEVICE}0"
    try:
        is_folder, exists = (folder / source).is_dir(), (folder / source).exists()
    except OSError:  # a name that no file can have
        is_folder = exists = False
    if is_folder:
        return "a folder of pictures is written images://FOLDER"
    if exists or "/" in source or Path(source).suffix:
        return "a file is written file://PATH"
    return f"must begin with {_schemes()}"


def _schemes() -> str:
    return in_a_row(map(_beginning, SCHEMES), "or")


def _labels(camera: Node) -> Iterator[Fault]:
    """What has a threshold or a filter must be looked for."""
    looked_for = looked_for_by(camera)
    for setting in (("detect", "thresholds"), ("detect", "filters"), ("track", "confirm_scores")):
        by_label = camera.find(setting)
        for label, node in by_label.keys.items() if by_label and looked_for else ():
            if label not in looked_for:
                hint = nearest_label(label, looked_for)
                yield node.key_fault(f"this camera does not look for {shown(label)}; {hint}")


def _triggers(camera: Node) -> Iterator[Fault]:
    """Triggers and the mode that goes by them belong together."""
    mode, triggers = camera.find(("gate", "mode")), camera.keys.get("triggers")
    is_external = mode is not None and mode.text == _EXTERNAL
    if mode and is_external and not (triggers and triggers.value):
        yield mode.fault(f"is {_EXTERNAL}, and the camera has no `triggers` to go by")
    if triggers and triggers.entries and not is_external:
        yield triggers.key_fault(f"have no effect without `gate: {{mode: {_EXTERNAL}}}`")
    for trigger in triggers.entries if triggers else ():
        path, payload = trigger.keys.get("path"), trigger.keys.get("payload")
        if path and path.value is not None and (payload is None or payload.value is None):
            yield path.key_fault("needs `payload` beside it: what must stand there")
