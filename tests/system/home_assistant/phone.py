"""A phone in the place of the Home Assistant app: registers, gets its notifications, taps.

Home Assistant sends a notification to the address that the app has given. In truth that is a relay
of its makers, which hands it on to Google or Apple; here it is this.
"""

import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.system.home_assistant.server import HomeAssistant


class Phone:
    """A phone with the app, connected to a Home Assistant.

    Args:
        home: Runs.
        name: The notify action becomes `notify.mobile_app_<name>`.
    """

    def __init__(self, home: HomeAssistant, name: str) -> None:
        self.received: list[dict[str, Any]] = []
        self._home = home
        phone = self

        class Relay(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                phone.received.append(json.loads(self.rfile.read(length)))
                self.send_response(201)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._webhook = self._register(name)["webhook_id"]

    def _register(self, name: str) -> dict[str, str]:
        address = f"http://127.0.0.1:{self._server.server_address[1]}/push"
        found: dict[str, str] = self._home.post(
            "/api/mobile_app/registrations",
            {
                "device_id": f"id-of-{name}",
                "app_id": "io.test.phone",
                "app_name": "Test",
                "app_version": "1",
                "device_name": name,
                "manufacturer": "Test",
                "model": "Phone",
                "os_name": "Android",
                "os_version": "16",
                "supports_encryption": False,
                "app_data": {"push_token": "token", "push_url": address},
            },
        )
        return found

    def tap(self, action: str) -> None:
        """Tap a button of a notification: the app fires an event."""
        data = {"event_type": "mobile_app_notification_action", "event_data": {"action": action}}
        body = json.dumps({"type": "fire_event", "data": data}).encode()
        url = f"{self._home.url}/api/webhook/{self._webhook}"
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20).close()  # noqa: S310 - loopback

    def picture(self, notification: dict[str, Any]) -> bytes:
        """Fetch the picture of a notification, as the app does with the user's login."""
        return self._home.request("GET", notification["data"]["image"])

    def close(self) -> None:
        """Switch it off."""
        self._server.shutdown()
        self._server.server_close()
