"""Keeps a door receiving: tries again where the platform cannot be reached, and anew where it has fallen silent."""

import asyncio
import logging
import time

from connectors.connector import Accept, Connector, Refused, Throttled, Unsure
from retrieval.errors import AtelierError

log = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0  # seconds between tries to reach a platform
SILENCE = 120.0  # seconds without a sign of life: a poll ends after 25, a socket is pinged every 10
LOOK = 5.0  # seconds between two looks at that
CLEANING = 10.0  # seconds that a connection has to end; one that hangs is left behind


async def receive(connector: Connector, accept: Accept, silence: float = SILENCE, look: float = LOOK) -> None:
    """Receive for ever. Raises Refused when trying again will not help."""
    pause = 1.0
    while True:
        started = time.monotonic()
        try:
            await _watched(connector, accept, silence, look)
        except Refused:
            raise
        except AtelierError as error:
            if time.monotonic() - started > LONGEST_PAUSE:
                pause = 1.0
            asked = error.seconds if isinstance(error, Throttled) else 0.0
            log.warning("%s cannot be reached, next try in %.0f s: %s", connector.name, max(pause, asked), error)
            await asyncio.sleep(max(pause, asked))
            pause = min(2 * pause, LONGEST_PAUSE)


async def _watched(connector: Connector, accept: Accept, silence: float, look: float) -> None:
    """One run of the connector's, ended with Unsure when nothing has been heard for `silence` seconds of it."""
    started = time.monotonic()
    running = asyncio.create_task(connector.run(accept))
    try:
        while not running.done():
            await asyncio.wait({running}, timeout=look)
            quiet = min(connector.silence(), time.monotonic() - started)
            if quiet > silence and not running.done():
                raise Unsure(f"Nothing was heard for {quiet:.0f} s, so the connection is made anew.")
        running.result()
    finally:
        running.cancel()
        await asyncio.wait({running}, timeout=CLEANING)
