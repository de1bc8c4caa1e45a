"""Runs amqtt as a program: `python -m secondlook.local.amqtt_broker PORT`.

It speaks MQTT 3.1.1 only, keeps everything in memory and listens on loopback.
"""

import asyncio
import logging
import signal
import sys

from secondlook.local.probes import LOOPBACK


async def serve(port: int) -> None:
    """Run the broker until SIGTERM."""
    # Imported here: this module stays importable where the `embedded` extra is not installed.
    from amqtt.broker import Broker  # noqa: PLC0415

    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"{LOOPBACK}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    broker = Broker(config)
    await broker.start()
    await stopped.wait()
    await broker.shutdown()


def main() -> None:
    """Read the port and serve."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    # It warns about every client that leaves without saying so, which ours may.
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    logging.getLogger("transitions").setLevel(logging.ERROR)
    try:
        asyncio.run(serve(int(sys.argv[1])))
    except ImportError:
        sys.exit(
            "there is no broker: install mosquitto (apt-get install mosquitto), "
            f"or amqtt ({sys.executable} -m pip install amqtt)"
        )


if __name__ == "__main__":
    main()
