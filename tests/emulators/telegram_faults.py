"""Faults that a test orders, and flood control as the platform does it. Times in seconds of `time.monotonic()`."""

import math
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass

from tests.emulators.telegram_values import ApiError

_DESCRIPTIONS = {429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway"}
# What counts as a message for flood control: edits do. Drafts and actions are documented nowhere and left out.
COUNTED = frozenset(
    "sendMessage sendPhoto sendDocument editMessageText editMessageMedia editMessageReplyMarkup".split()
)


def too_many(retry_after: int) -> ApiError:
    """https://core.telegram.org/bots/api#responseparameters"""
    return ApiError(429, f"Too Many Requests: retry after {retry_after}", retry_after)


@dataclass(frozen=True, slots=True)
class Delay:
    """The request takes effect after `seconds`; where it does not land it is lost, and the connection closes."""

    seconds: float
    lands: bool


class Faults:
    """Ordered from any thread, taken by the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: defaultdict[str, deque[ApiError]] = defaultdict(deque)
        self._delays: defaultdict[str, deque[Delay]] = defaultdict(deque)
        self._outage = (0.0, 502)

    def fail(self, method: str, status: int, retry_after: int | None, times: int) -> None:
        error = too_many(retry_after or 1) if status == 429 else ApiError(status, _DESCRIPTIONS.get(status, "Error"))
        with self._lock:
            self._failures[method].extend([error] * times)

    def outage(self, seconds: float, status: int) -> None:
        with self._lock:
            self._outage = (time.monotonic() + seconds, status)

    def delay(self, method: str, delay: Delay, times: int) -> None:
        with self._lock:
            self._delays[method].extend([delay] * times)

    def take_delay(self, method: str) -> Delay | None:
        with self._lock:
            waiting = self._delays[method]
            return waiting.popleft() if waiting else None

    def check(self, method: str) -> None:
        """Raise the ordered ApiError."""
        with self._lock:
            until, status = self._outage
            left = until - time.monotonic()
            if left > 0:
                raise (
                    too_many(math.ceil(left)) if status == 429 else ApiError(status, _DESCRIPTIONS.get(status, "Error"))
                )
            if self._failures[method]:
                raise self._failures[method].popleft()


@dataclass(frozen=True, slots=True)
class FloodLimits:
    """https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this

    "avoid sending more than one message per second" in a chat ("short bursts" may pass: `burst`), "not more than
    20 messages per minute" in a group, "about 30 messages per second" overall.
    """

    private_seconds: float = 1.0
    burst: int = 3
    group_per_minute: int = 20
    overall_per_second: int = 30


class Flood:
    """Counts what is accepted; a refused call costs nothing."""

    def __init__(self) -> None:
        self.limits = FloodLimits()
        self._free_at: dict[int, float] = {}  # private chats: when the whole burst is free again
        self._groups: defaultdict[int, deque[float]] = defaultdict(deque)
        self._overall: deque[float] = deque()

    def check(self, chat_id: int, now: float) -> None:
        """Count one message at the time `now`, or raise ApiError 429. Groups have negative ids."""
        limits = self.limits
        wait = _window(self._overall, now, 1.0, limits.overall_per_second)
        if chat_id < 0:
            wait = max(wait, _window(self._groups[chat_id], now, 60.0, limits.group_per_minute))
            if wait <= 0:
                self._groups[chat_id].append(now)
        else:
            free_at = max(self._free_at.get(chat_id, now), now)
            wait = max(wait, free_at - now - (limits.burst - 1) * limits.private_seconds)
            if wait <= 0:
                self._free_at[chat_id] = free_at + limits.private_seconds
        if wait > 0:
            raise too_many(max(1, math.ceil(wait)))
        self._overall.append(now)


def _window(times: deque[float], now: float, seconds: float, most: int) -> float:
    """Seconds to wait until one more fits into a sliding window."""
    while times and now - times[0] >= seconds:
        times.popleft()
    return 0.0 if len(times) < most else seconds - (now - times[0])
