"""`atelier serve` over the stub house, started by fork: the libraries are loaded once, a restart takes milliseconds.

Every line on the standard input starts one more process, whose id is printed. Everything but the house is what
`atelier serve` runs. ATELIER_BATTERY_LEASE: seconds of a claim, shorter than the product's, so that what a killed
process left is taken up soon, and killed again.
"""

import logging
import os
import signal
import sys
from contextlib import suppress
from functools import partial

import connectors.serve
import connectors.slack.connector
import connectors.telegram.connector
import retrieval.index  # noqa: F401 - loaded before the fork
from connectors.delivery.stage import Pace
from connectors.loop import run
from connectors.settings import load_settings
from tests.battery.house import open_house


def _serve(lease: float) -> None:
    settings = load_settings(None)
    connectors.serve.Pace = partial(Pace, lease=lease)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
    run(connectors.serve.serve(settings, lambda: open_house(settings), lambda _: None))


def main() -> None:
    lease = float(os.environ.pop("ATELIER_BATTERY_LEASE"))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are gone at once
    child = 0
    while os.read(0, 1):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(null, 1)
            try:
                _serve(lease)
            except BaseException:
                logging.getLogger("stub").exception("The bot ended.")
                os._exit(1)
            os._exit(0)
        os.write(1, f"{child}\n".encode())
    if child:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
