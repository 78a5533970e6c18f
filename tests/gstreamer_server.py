"""GStreamer's RTSP server, in the system's Python, which is the one that can have it.

As a program: `python3 gstreamer_server.py NAME PIPELINE …`; it prints the port when it listens, and shows each pipeline
at `/NAME`.
"""

import sys
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  (not before their versions are chosen)


def _main(*pipelines: str) -> Any:
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service="0")
    for name, pipeline in zip(pipelines[::2], pipelines[1::2], strict=True):
        server.get_mount_points().add_factory(f"/{name}", GstRtspServer.RTSPMediaFactory(launch=f"( {pipeline} )"))
    server.attach(None)
    print(server.get_bound_port(), flush=True)  # noqa: T201 - the parent waits for it
    GLib.MainLoop().run()


if __name__ == "__main__":
    _main(*sys.argv[1:])
