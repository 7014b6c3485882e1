"""What a watchdog and Prometheus may see of a running Atelier: numbers and states, nobody's words and no reasons."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from connectors.connector import Connector
from connectors.delivery.worker import Delivery
from finetune.registry_watch import Watch
from retrieval.errors import AtelierError

STUCK = 600.0  # seconds without a sign of life of the queue, or of a platform, after which something is wrong


@dataclass(frozen=True, slots=True)
class Health:
    """The pages of one process."""

    delivery: Delivery
    connectors: Mapping[str, Connector]
    watch: Watch | None = None

    def routes(self) -> list[web.RouteDef]:
        pages = {"/healthz": self._health, "/health": self._health, "/metrics": self._metrics}
        return [web.get(path, page) for path, page in pages.items()]

    async def _health(self, _request: web.Request) -> web.Response:
        """200 while the queue works and the platforms are heard, with how much waits; else 503."""
        try:
            counts = await self.delivery.counts()
        except AtelierError:  # why stands in the log: this page may be public
            return web.json_response({"status": "store"}, status=503)
        silent = self._silent()
        if self._idle() > STUCK:
            status = "stuck"
        elif any(seconds > STUCK for seconds in silent.values()):
            status = "silent"
        else:
            status = "ok"
        doors = {name: {"silent": round(seconds, 1)} for name, seconds in silent.items()}
        body = {"status": status, "doors": doors, "queue": counts}
        if self.watch is not None:  # why a version is not served stands in the log
            body["version"] = {"live": self.watch.live, "not_served": len(self.watch.problems)}
        return web.json_response(body, status=200 if status == "ok" else 503)

    async def _metrics(self, _request: web.Request) -> web.Response:
        try:
            counts = await self.delivery.counts()
        except AtelierError:
            return web.Response(status=503)
        page = await asyncio.to_thread(self.delivery.meter.page, counts, self._idle(), self._silent())
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _idle(self) -> float:
        return time.monotonic() - self.delivery.last_look

    def _silent(self) -> dict[str, float]:
        return {name: connector.silence() for name, connector in self.connectors.items()}
