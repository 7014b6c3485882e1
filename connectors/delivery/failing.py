"""What follows when an event could not be answered: it is tried again after a pause, or given up."""

import logging
import time
from functools import partial

from connectors.connector import Refused, Throttled, Unsure
from connectors.delivery import queue
from connectors.delivery.queue import Claim
from connectors.delivery.stage import Poison, Stage
from connectors.delivery.writer import Step

log = logging.getLogger(__name__)

OLDEST = 3600.0  # seconds after which an event is given up that the platform will not let us answer
WORST_PAUSE = 60.0  # seconds between tries while a platform is down


def again(claim: Claim, stage: Stage, error: Exception, attempts: int) -> Step | None:
    """What puts it back into the queue; None where trying again is vain. attempts: of ours that may fail."""
    back = partial(queue.put_back, claim=claim, error=type(error).__name__)
    if isinstance(error, Throttled):
        return partial(back, seconds=error.seconds, failed=False)
    if isinstance(error, Unsure):
        pause = min(WORST_PAUSE, 2.0 ** min(claim.attempts, 6))
        return partial(back, seconds=pause, failed=True) if time.time() < stage.since + OLDEST else None
    if isinstance(error, Refused | Poison) or claim.attempts + 1 >= attempts:
        return None
    log.warning("An answer failed (%s) and is tried again.", type(error).__name__)
    return partial(back, seconds=2.0**claim.attempts, failed=True)


def place_of(error: Exception) -> str:
    """The line that raised it, for the log: its text could hold somebody's words."""
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    return f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else "unknown"
