"""The event loop that serves: libuv's, which takes a fraction of the processor time that asyncio's own takes.

https://uvloop.readthedocs.io
"""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any


def run(serving: Coroutine[Any, Any, None]) -> None:
    """As `asyncio.run`. Where there is no libuv loop (Windows), asyncio's own serves."""
    factory = None
    if sys.platform != "win32":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serving)
