"""The lines that a camera takes in the configuration, with variables where its address holds a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

VARIABLE = "CAMERA_PASSWORD"
"""What the first secret of an address is called; a second, other one is `CAMERA_PASSWORD_2`."""

LONGEST_ID = 64


class CameraBlock(NamedTuple):
    """The lines, and by the name of each variable in them the secret that it stands for: never to be shown."""

    text: str
    secrets: dict[str, str]


class _Piece(NamedTuple):
    """A part of an address."""

    text: str
    is_secret: bool = False


def camera_block(url: str) -> CameraBlock:
    """Write the block for an address.

    A password is what stands behind the user's name, what a query or a path calls one, and whatever looks like a key
    that somebody drew by lot. One taken for a secret that is none does no harm: the variable then holds it.
    """
    secrets: dict[str, str] = {}
    source = ""
    for piece in _pieces(url):
        if piece.is_secret and piece.text:
            name = next((name for name, secret in secrets.items() if secret == piece.text), _next_name(secrets))
            secrets[name] = piece.text
            source += f"${{{name}}}"
        else:
            source += piece.text.replace("${", "$${")  # or it would be taken for a variable
    lines = [
        "cameras:",
        f"  - id: {json.dumps(camera_id(url))}",
        f"    source: {json.dumps(source, ensure_ascii=False)}",
    ]
    return CameraBlock("\n".join(lines), secrets)


def camera_id(url: str) -> str:
    """Name a camera after its host, or a clip after its file, as an id may be written."""
    scheme, _, rest = url.partition("://")
    name = Path(rest).stem if scheme == "file" else _host(rest)
    return re.sub(r"[^a-zA-Z0-9_-]+", "-", name).strip("-")[:LONGEST_ID] or "camera"


def _next_name(secrets: dict[str, str]) -> str:
    return f"{VARIABLE}_{len(secrets) + 1}" if secrets else VARIABLE


def _host(rest: str) -> str:
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    if host.startswith("["):  # IPv6
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _pieces(url: str) -> Iterator[_Piece]:
    scheme, _, rest = url.partition("://")
    if scheme == "file":
        yield _Piece(f"file://{Path(rest).absolute()}")
        return
    authority, path, query = re.fullmatch(r"([^/?#]*)([^?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    yield _Piece(f"{scheme}://")
    user_info, at, host = authority.rpartition("@")
    user, colon, password = user_info.partition(":")
    yield _Piece(user, is_secret=bool(at) and not colon)  # a name alone is a token
    yield _Piece(colon)
    yield _Piece(password, is_secret=True)
    yield _Piece(at + host)
    if "@" in path + query:  # a password with a slash in it, or a path with an @: nobody can tell
        yield _Piece(path[:1])
        yield _Piece(path[1:] + query, is_secret=True)
        return
    *folders, last = path.split("/")
    for folder in folders:
        yield from _segment(folder)
        yield _Piece("/")
    yield from [_Piece(last, is_secret=True)] if scheme in _KEY_LAST else _segment(last)
    yield from _named(query, _IN_QUERY)


def _segment(text: str) -> Iterator[_Piece]:
    if _DRAWN.fullmatch(text):
        yield _Piece(text, is_secret=True)
    else:
        yield from _named(text, _IN_PATH)


def _named(text: str, pattern: re.Pattern[str]) -> Iterator[_Piece]:
    """Cut a text at the values of what is called a password."""
    done = 0
    for match in pattern.finditer(text):
        yield _Piece(text[done : match.start(1)])
        yield _Piece(match[1], is_secret=True)
        done = match.end(1)
    yield _Piece(text[done:])


_NAMES = r"(?:pas|pwd|psw|token|secret|key|auth|sign|credential|streamid)[a-z-]*="
_IN_QUERY = re.compile(rf"{_NAMES}([^&;#]*)", re.DOTALL | re.IGNORECASE)
_IN_PATH = re.compile(  # as in `user=admin_password=x_channel=1.sdp`
    rf"{_NAMES}(.*?)(?=[&;]|_[a-z]+=|$)", re.DOTALL | re.IGNORECASE
)
_DRAWN = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9]{12,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KEY_LAST = ("rtmp", "rtmps")  # the last part of such an address is the stream's key
