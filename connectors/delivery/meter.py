"""What the queue does, in numbers for Prometheus: counts and times, with nobody's words, names or channels in a label.

https://prometheus.io/docs/practices/naming/
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


class Meter:
    """The numbers of one process, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        platform = ("platform",)
        self.taken = Counter("atelier_events", "Events taken into the queue.", platform, registry=registry)
        self.copies = Counter(
            "atelier_copies", "Events that were known already, or covered by a refusal.", platform, registry=registry
        )
        self.excess = Counter(
            "atelier_excess", "Conversations told that there is too much to do.", platform, registry=registry
        )
        self.ended = Counter(
            "atelier_events_ended", "Events that are over.", ("platform", "outcome"), registry=registry
        )
        self.again = Counter(
            "atelier_retries", "Answers that have to be tried again.", ("platform", "why"), registry=registry
        )
        self.seconds = Histogram(
            "atelier_answer_seconds",
            "From taking an event in to its last message on the platform.",
            platform,
            buckets=SECONDS,
            registry=registry,
        )
        self._queue = Gauge("atelier_queue_events", "Events in each state.", ("state",), registry=registry)
        self._idle = Gauge("atelier_queue_idle_seconds", "Since the queue last looked for work.", registry=registry)
        self._silent = Gauge(
            "atelier_door_silent_seconds", "Since the platform was last heard.", platform, registry=registry
        )

    def page(self, queue: dict[str, int], idle: float, silent: dict[str, float]) -> bytes:
        """All of it, and what is known at this moment, in Prometheus' text format."""
        for state in ("new", "claimed", "done", "dead"):
            self._queue.labels(state).set(queue.get(state, 0))
        self._idle.set(idle)
        for platform, seconds in silent.items():
            self._silent.labels(platform).set(seconds)
        return generate_latest(self._registry)
