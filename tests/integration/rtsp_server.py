"""A real RTSP server, for /usr/bin/python3 with Debian's GStreamer packages.

`rtsp_server.py make CLIP` encodes a clip as H.264, a keyframe each second.
`rtsp_server.py serve PORT CLIP [USER PASSWORD]` plays it at rtsp://127.0.0.1:PORT/live to
everyone who connects, in real time, from its beginning.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - only after the versions


def make(clip: str) -> None:
    """Encode a minute of a moving ball."""
    pipeline = Gst.parse_launch(
        "videotestsrc pattern=ball num-buffers=1500 ! video/x-raw,width=320,height=240,"
        "framerate=25/1 ! openh264enc gop-size=25 ! h264parse ! mp4mux ! filesink name=file"
    )
    pipeline.get_by_name("file").set_property("location", clip)
    pipeline.set_state(Gst.State.PLAYING)
    ends = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(60 * Gst.SECOND, ends)
    pipeline.set_state(Gst.State.NULL)
    if message is None or message.type == Gst.MessageType.ERROR:
        sys.exit(f"no clip: {message and message.parse_error()}")


def serve(port: str, clip: str, user: str = "", password: str = "") -> None:
    """Serve the clip until killed."""
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f'( filesrc location="{clip}" ! qtdemux ! h264parse ! '
        "rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )
    if user:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    GLib.MainLoop().run()


if __name__ == "__main__":
    Gst.init(None)
    if sys.argv[1] == "make":
        make(sys.argv[2])
    else:
        serve(*sys.argv[2:])
