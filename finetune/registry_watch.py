"""The running bot follows the registry: fetch, verify, load under a new name, flip, drain, delete.

Every worker looks for itself every few seconds, so nobody has to be told, and a worker that was away catches up. What
fails to load changes nothing: what served goes on, and why is said.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Protocol

from agent.generation.versions import Carrier, Lineup, Offer, Versions
from finetune.registry import AdapterRegistry, Aliases, Version
from retrieval.errors import AtelierError, ModelFolderError, StoreError

LOOK = 2.0  # seconds between looks at the aliases
AGAIN = 60.0  # seconds until what failed to load is tried again
DRAIN = 180.0  # seconds that replies may go on before their version is taken from them
Notice = Callable[[str], None]
_log = logging.getLogger(__name__)


class Heads(Protocol):
    """What takes the heads that understand messages."""

    def take(self, folder: Path | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A version that could not be served. until: the time of the monotonic clock when it is tried again."""

    reason: str
    until: float
    is_heads: bool


class Watch:
    """Keeps `versions` (and `heads`) as the registry says. notice: is told what an administrator should know."""

    def __init__(
        self,
        registry: AdapterRegistry,
        versions: Versions,
        carrier: Carrier | None,
        heads: Heads | None,
        notice: Notice,
        *,
        seconds: float = LOOK,
        again: float = AGAIN,
        drain: float = DRAIN,
    ) -> None:
        """carrier: None where there is no language model; then a live adapter is only spoken of."""
        self._registry, self._versions, self._carrier, self._heads = registry, versions, carrier, heads
        self._notice, self._seconds, self._again, self._drain = notice, seconds, again, drain
        self._wanted = Aliases()
        self._loaded: dict[str, Offer] = {}
        self._retiring: dict[str, float] = {}  # by name, until when replies may go on
        self._failed: dict[str, Failure] = {}
        self._live_heads = ""
        self._is_away = False  # the store could not be read
        self._turning = Lock()  # held while the lineup is changed: never long
        self._working = Lock()  # held while versions are loaded and deleted: as long as that takes
        self._stop = Event()
        self._threads = [Thread(target=each, name="versions", daemon=True) for each in (self._run, self._run_work)]
        self._work_waits = Event()

    def start(self) -> None:
        """Look once, so that the first reply is the live version's already, then every few seconds."""
        self.look()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._work_waits.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=self._seconds + 5)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why versions that should serve do not, in sentences; empty when all is as the registry says."""
        return tuple(failure.reason for failure in list(self._failed.values()))

    @property
    def live(self) -> str:
        """The version that answers, or empty."""
        live = self._versions.lineup.live
        return live.name if live is not None else ""

    def look(self) -> None:
        """Bring everything to what the registry says now. Never raises: what goes wrong is said and tried again."""
        try:
            self._turn()
            self._work()
        except Exception as error:  # noqa: BLE001 - the next look may go better; its words may quote data
            _log.error("Looking for new versions failed (%s).", type(error).__name__)

    def _run(self) -> None:
        """Follow the aliases; loading, which may take long, is another thread's, so that a rollback never waits."""
        while not self._stop.wait(self._seconds):
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 - the next look may go better; its words may quote data
                _log.error("Looking for new versions failed (%s).", type(error).__name__)
            self._work_waits.set()

    def _run_work(self) -> None:
        while self._work_waits.wait() and not self._stop.is_set():
            self._work_waits.clear()
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 - the next look may go better; its words may quote data
                _log.error("Loading new versions failed (%s).", type(error).__name__)

    def _turn(self) -> None:
        """Read the aliases and let what is loaded serve as they say."""
        try:
            wanted = self._registry.aliases()
        except AtelierError as error:
            if not self._is_away:
                self._tell(f"The registry of adapters cannot be read, what serves goes on: {error}")
            self._is_away = True
            return
        self._is_away = False
        with self._turning:
            self._wanted = wanted
            self._flip()

    def _work(self) -> None:
        """Load what should serve, and delete what nobody asks for any more."""
        with self._working:
            self._follow_heads()
            if self._carrier is None:
                self._miss_a_model()
                return
            roles = _roles(self._wanted)
            for version in roles:
                self._load(self._carrier, version)
                with self._turning:
                    self._flip()
            self._retire(self._carrier)

    def _miss_a_model(self) -> None:
        live = self._wanted.live
        if live is not None and live.name not in self._failed:
            self._fail(
                live.name,
                f"{live.name} is live, but there is no language model to speak as it. Set generator to local with a "
                "model, or to remote with a server.",
            )

    def _flip(self) -> None:
        """Let those that are loaded serve in their roles; a live one that is not leaves the one before it live."""
        wanted, now = self._wanted, self._versions.lineup
        live, previous = self._offer(wanted.live), self._offer(wanted.previous)
        if wanted.live is not None and live is None:
            live, previous = now.live or previous, now.previous
        lineup = Lineup(live, previous, self._offer(wanted.candidate), wanted.share, wanted.channels)
        if lineup != now:
            self._versions.flip(lineup)
            if lineup.live != now.live:
                who = lineup.live.name if lineup.live is not None else "The model without an adapter"
                self._tell(f"{who} answers from now on.")

    def _offer(self, version: Version | None) -> Offer | None:
        return self._loaded.get(version.name) if version is not None else None

    def _load(self, carrier: Carrier, version: Version) -> None:
        self._retiring.pop(version.name, None)
        failure = self._failed.get(version.name)
        if version.name in self._loaded or (failure is not None and failure.until > time.monotonic()):
            return
        try:
            fingerprint = getattr(carrier, "fingerprint", version.base_fingerprint)  # a server does not tell its own
            if fingerprint != version.base_fingerprint:
                raise ModelFolderError(  # noqa: TRY301 - told like the others
                    "It was trained on another base model than the one that serves, or its tokenizer or config was "
                    "changed since. Set `model` to that one, or train it again."
                )
            carrier.add_adapter(version.name, self._registry.fetch(version))
        except AtelierError as error:
            self._fail(version.name, f"{version.name} is not served: {error}")
        except Exception as error:  # noqa: BLE001 - libraries may raise anything; their words may quote paths or data
            self._fail(version.name, f"{version.name} is not served: loading it failed ({type(error).__name__}).")
        else:
            self._failed.pop(version.name, None)
            self._loaded[version.name] = Offer(version.name, version.learned_from.audiences)

    def _fail(self, name: str, reason: str, *, is_heads: bool = False) -> None:
        before = self._failed.get(name)
        self._failed[name] = Failure(reason, time.monotonic() + self._again, is_heads)
        if before is None or before.reason != reason:
            self._tell(reason)

    def _retire(self, carrier: Carrier) -> None:
        """Delete versions that nobody asks for, once the last reply by them is given."""
        names = {each.name for each in _roles(self._wanted)}
        lineup = self._versions.lineup
        names |= {each.name for each in (lineup.live, lineup.previous, lineup.candidate) if each is not None}
        self._failed = {name: why for name, why in self._failed.items() if name in names or why.is_heads}
        for name in set(self._loaded) - names:
            until = self._retiring.setdefault(name, time.monotonic() + self._drain)
            if self._versions.wait_idle(name, 0.0) or time.monotonic() > until:
                del self._retiring[name]
                del self._loaded[name]
                with suppress(AtelierError):
                    carrier.remove_adapter(name)

    def _follow_heads(self) -> None:
        if self._heads is None:
            return
        try:
            live = self._registry.aliases("heads").live
            name = live.name if live is not None else ""
            failure = self._failed.get(name)
            if name == self._live_heads or (failure is not None and failure.until > time.monotonic()):
                return
            self._heads.take(self._registry.fetch(live) if live is not None else None)
        except StoreError:
            return  # `_turn` has said so
        except AtelierError as error:
            self._fail(name, f"{name} is not used to understand messages: {error}", is_heads=True)
        else:
            self._failed = {name: why for name, why in self._failed.items() if not why.is_heads}
            self._live_heads = name

    def _tell(self, sentence: str) -> None:
        _log.info("%s", sentence)
        self._notice(sentence)


def _roles(aliases: Aliases) -> list[Version]:
    """Those that should be loaded, the most needed first."""
    return [each for each in (aliases.live, aliases.candidate, aliases.previous) if each is not None]
