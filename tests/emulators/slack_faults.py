"""Everything that goes wrong at Slack on request: errors, outages, late effects, rate limits."""

import math
import threading
import time
from dataclasses import dataclass

from tests.emulators.slack_blocks import JSON

# Calls a minute. https://docs.slack.dev/apis/web-api/rate-limits: Tier 2 is 20+, Tier 3 50+, Tier 4 100+.
TIERS = {"chat.startStream": 20, "chat.stopStream": 20, "chat.update": 50, "chat.appendStream": 100}
POSTS_A_SECOND, POST_BURST = 1.0, 2.0  # chat.postMessage, each channel: "one message per second", "short bursts"


@dataclass(slots=True)
class Fault:
    """What the next calls of a method are answered. landed: the call takes effect all the same."""

    method: str
    status: int
    error: str
    retry_after: int | None
    times: int
    landed: bool


class Faults:
    def __init__(self) -> None:
        self.flood = False  # rate limits are enforced
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._delays: list[tuple[str, float]] = []
        self._back = 0.0  # time.monotonic() at which an outage ends
        self._buckets: dict[str, tuple[float, float]] = {}  # what is limited -> tokens left, when counted

    @property
    def out(self) -> bool:
        return time.monotonic() < self._back

    def outage(self, seconds: float) -> None:
        self._back = time.monotonic() + seconds

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def add_delay(self, method: str, seconds: float, times: int) -> None:
        with self._lock:
            self._delays += [(method, seconds)] * times

    def take(self, method: str) -> Fault | None:
        """The fault due for this call, if there is one; each counts down its times."""
        with self._lock:
            for fault in self._faults:
                if fault.method in {method, "*"}:
                    fault.times -= 1
                    if fault.times == 0:
                        self._faults.remove(fault)
                    return fault
        return None

    def take_delay(self, method: str) -> float:
        """Seconds until this call takes effect."""
        with self._lock:
            for delay in self._delays:
                if delay[0] in {method, "*"}:
                    self._delays.remove(delay)
                    return delay[1]
        return 0.0

    def too_soon(self, method: str, given: JSON) -> int | None:
        """Whole seconds for Retry-After when flood control refuses the call, else None."""
        if not self.flood:
            return None
        if method == "chat.postMessage":
            return self._spend(f"{method} {given.get('channel')}", POSTS_A_SECOND, POST_BURST)
        if method in TIERS:
            return self._spend(method, TIERS[method] / 60, float(TIERS[method]))
        return None

    def _spend(self, key: str, rate: float, burst: float) -> int | None:
        with self._lock:
            now = time.monotonic()
            left, counted = self._buckets.get(key, (burst, now))
            left = min(burst, left + (now - counted) * rate)
            self._buckets[key] = (left - 1 if left >= 1 else left, now)
            return None if left >= 1 else max(1, math.ceil((1 - left) / rate))
