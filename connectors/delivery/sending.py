"""One part of an answer on its way to the platform, and what is committed before and after each call.

What may show twice is marked as being sent first; after a crash the platform is asked for it by its key.
"""

import asyncio
import logging
import time
from dataclasses import replace
from functools import partial

from connectors.connector import Connector, Gone, Refused, Throttled
from connectors.delivery import queue
from connectors.delivery.queue import Claim, Part
from connectors.delivery.writer import Step, Writer

log = logging.getLogger(__name__)


async def send(connector: Connector, write: Writer, claim: Claim, part: Part) -> Step:
    """Put one part up. Returns what is to be committed of it. Raises LeaseLost, Throttled or Unsure."""
    handle = part.handle
    try:
        if not handle and connector.edits_only and not part.body.press:  # a word on a button has no message
            handle = await connector.open(part.body.place, part.body.to, part.key)
            await write(partial(queue.part_opened, claim=claim, part=part, handle=handle))
        if not handle:
            if part.state == "sending":
                message = await _arrived(connector, part)
                if message is not None:
                    return partial(queue.sent, claim=claim, part=part, message=message)
            await write(partial(queue.mark_sending, claim=claim, part=part))
        message = await connector.send(part.body, part.key, handle)
    except Gone:  # somebody deleted the message that was opened: another is opened, and committed, first
        if part.body.renews:
            return partial(queue.undeliverable, claim=claim, part=part)
        await write(partial(queue.part_opened, claim=claim, part=part, handle=""))
        return await send(connector, write, claim, replace(part, handle="", state="ready"))
    except Refused as error:
        if (instead := part.body.instead) is not None:
            await write(partial(queue.redirected, claim=claim, part=part, body=instead))
            return await send(connector, write, claim, replace(part, body=instead, handle="", state="ready"))
        log.warning("An answer on %s could not be delivered: %s", claim.platform, error)
        return partial(queue.undeliverable, claim=claim, part=part)
    except Throttled:
        await write(partial(queue.mark_ready, claim=claim, part=part))
        raise
    return partial(queue.sent, claim=claim, part=part, message=message)


async def _arrived(connector: Connector, part: Part) -> str | None:
    """The message of a send with an unknown outcome, if it arrived."""
    await asyncio.sleep(max(0.0, part.since + connector.grace - time.time()))
    if part.body.audience == "one":  # nobody can look it up; a word in passing is better lost than said twice
        return part.key
    try:
        return await connector.find(part.body.place, part.key)
    except Refused:
        return None  # it may have gone another way, to the person directly: rather twice than never
