"""The composition root: the one place where settings become objects and every room is joined to the next."""

import asyncio
import contextlib
import getpass
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import Engine

from agent.colleague import Colleague, Manner
from agent.generation.checked import CheckedGenerator
from agent.generation.extractive import ExtractiveGenerator
from agent.generation.fallback import FallbackGenerator
from agent.generation.generator import Generator, Limits
from agent.generation.versions import Carrier, Versions
from agent.ideation import tables as _ideation  # noqa: F401 - the store has these tables too
from agent.memory import Memory
from agent.message import Person, Place
from agent.prompt import PERSONA
from agent.support.curated import Curated
from agent.understanding import SHIPPED, Understander
from connectors.delivery import tables as _queue  # noqa: F401 - the store has these tables too
from connectors.migrations import migrate
from connectors.settings import Settings
from connectors.slack import tables as _slack  # noqa: F401 - it registers its tables
from finetune.examples.forgetting import unlearn_documents
from finetune.registry import AdapterRegistry
from finetune.registry_watch import Watch
from retrieval.audience import everyone
from retrieval.database import open_database, reading
from retrieval.encoder import TransformerEncoder
from retrieval.errors import AtelierError, EncoderError, StoreError
from retrieval.files import sha256_of, write_atomically
from retrieval.knowledge import KnowledgeBase, serving_encoder
from retrieval.loading import load
from retrieval.shelf import Shelf
from retrieval.store import read_meta

Notice = Callable[[str], None]
SPOKEN_NAMES = {"extractive": "quotes", "starter": "quotes and a small model of its own"}


@dataclass(frozen=True, slots=True)
class Store:
    """What commands need that touch no model: the database and the memory in it."""

    settings: Settings
    engine: Engine
    memory: Memory

    def id(self) -> str:
        """What tells this store from another."""
        serving_encoder(self.engine)  # makes an empty store known
        with reading(self.engine) as connection:
            return read_meta(connection).store

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.engine, self.index, self._unlearn)

    def _unlearn(self, tenant: str, sources: Sequence[str]) -> None:
        unlearn_documents(self.engine, self.settings.home, tenant, sources)

    @property
    def registry(self) -> AdapterRegistry:
        """The trained versions of adapters and heads; their files are cached in the home folder."""
        return AdapterRegistry(self.engine, self.settings.home / "versions")

    @property
    def index(self) -> Path:
        """The folder of the index cache."""
        return self.settings.home / "index"

    @property
    def place(self) -> Place:
        """The terminal's one conversation for each user of the machine."""
        return Place("terminal", self.settings.tenant, user_name())

    def person(self) -> Person:
        """Who sits at the terminal, with the audiences the settings give them."""
        tenant = self.settings.tenant
        return self.memory.person(f"terminal:{tenant}:{user_name()}", {everyone(tenant), *self.settings.audiences})

    def close(self) -> None:
        self.engine.dispose()


@dataclass(frozen=True, slots=True)
class House:
    """Everything, joined."""

    store: Store
    encoder: TransformerEncoder
    knowledge: KnowledgeBase
    generator: Generator
    colleague: Colleague
    stop: Event
    reencoding: Thread
    watch: Watch | None = None

    def introduction(self) -> str:
        """The start-up line: who answers, from how much."""
        count = self.knowledge.shelf.count(self.store.settings.tenant)
        documents = f"{count} document{'' if count == 1 else 's'}"
        who = SPOKEN_NAMES.get(self.generator.name, self.generator.name)
        return f"Atelier answers with {who} from {documents}. /help shows what it can do."

    async def close(self) -> None:
        self.stop.set()
        if self.watch is not None:
            await asyncio.to_thread(self.watch.stop)
        if self.reencoding.is_alive():
            await asyncio.to_thread(self.reencoding.join)  # it stops after the batch at hand
        await self.generator.close()
        self.knowledge.close()
        self.store.close()


def user_name() -> str:
    """The user of this machine; `someone` where it has no name (some containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone"


def open_store(settings: Settings) -> Store:
    """The home folder and the database, made and migrated when new. Raises StoreError."""
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)  # conversations are nobody else's to read
    except OSError as error:
        raise StoreError(
            f"The home folder {settings.home} cannot be made ({error.strerror}). Name another in the setting `home`."
        ) from error
    if not os.access(settings.home, os.W_OK | os.X_OK):
        raise StoreError(
            f"Nothing can be written to the home folder {settings.home}. See who owns it and whether its disk is "
            "read-only, or name another in the setting `home`."
        )
    engine = open_database(settings.store_url)
    migrate(engine)
    return Store(settings, engine, Memory(engine))


def open_knowledge(store: Store, notice: Notice) -> tuple[TransformerEncoder, KnowledgeBase]:
    """The encoder and the knowledge base over it. Raises EncoderError or StoreError."""
    device = store.settings.device or None
    encoder = TransformerEncoder(store.settings.encoder, device=device)
    serving = serving_encoder(store.engine)
    previous = None
    if serving is not None and serving != encoder.id:
        with contextlib.suppress(EncoderError):  # without it words search alone until all is encoded anew
            previous = TransformerEncoder(serving.rsplit("@", 1)[0], device=device)
    knowledge = KnowledgeBase(store.engine, store.index, encoder, previous=previous, notice=notice, shelf=store.shelf)
    return encoder, knowledge


def open_house(settings: Settings, notice: Notice) -> House:
    """Everything that a conversation needs. notice: is told what a person should know while it opens."""
    store = open_store(settings)
    encoder, knowledge = open_knowledge(store, notice)
    read_guide(store, knowledge)
    stop = Event()
    reencoding = Thread(target=_reencode, args=(knowledge, stop, notice), name="reencode")
    if knowledge.is_reencoding_due():
        reencoding.start()
    generator = make_generator(settings, encoder)
    manner = Manner(
        persona=settings.persona or PERSONA,
        limits=Limits(settings.max_tokens, settings.temperature, settings.top_p, deadline=settings.deadline),
        passages=settings.passages,
        history_tokens=settings.history_tokens,
        allowed_links=settings.allowed_links,
        adapter=settings.adapter or None,
    )
    understander = Understander(encoder, heads_folder(settings))
    if understander.notice:
        notice(understander.notice)
    versions = Versions(manner.adapter)
    watch = Watch(store.registry, versions, carrier_of(settings, generator), understander, notice)
    watch.start()
    curated = Curated(store.engine, encoder)
    curated.warm(settings.tenant)
    colleague = Colleague(
        knowledge, understander, generator, store.memory, encoder.count_tokens, manner, versions, curated
    )
    return House(store, encoder, knowledge, generator, colleague, stop, reencoding, watch)


def heads_folder(settings: Settings) -> Path:
    """The team's own heads where they have trained some (`atelier finetune heads`), else the shipped ones."""
    own = settings.home / "heads"
    return own if own.exists() else SHIPPED


def make_generator(settings: Settings, encoder: TransformerEncoder) -> Generator:
    """The generator that the settings choose, the extractive one to fall back on. Raises GeneratorError, HeadError."""
    extractive = ExtractiveGenerator(encoder)
    if settings.generator == "starter":
        from agent.generation.starter import StarterGenerator

        return FallbackGenerator(StarterGenerator(encoder, device=settings.device or None), extractive)
    if settings.generator == "local":
        from agent.generation.local import LocalGenerator

        local = LocalGenerator(settings.model, device=settings.device or None, queue=settings.queue)
        for name, folder in settings.adapters.items():
            local.add_adapter(name, folder)
        return FallbackGenerator(CheckedGenerator(local, extractive, encoder), extractive)
    if settings.generator == "remote":
        from agent.generation.remote import RemoteGenerator

        key = settings.remote_key.get_secret_value() or None
        remote = RemoteGenerator(settings.remote_url, settings.remote_model, key)
        return FallbackGenerator(CheckedGenerator(remote, extractive, encoder), extractive)
    return extractive


def carrier_of(settings: Settings, generator: Generator) -> Carrier | None:
    """What takes the registry's adapters: the model in this process, or the server; None without a language model."""
    inner = generator.primary if isinstance(generator, FallbackGenerator) else generator
    inner = inner.primary if isinstance(inner, CheckedGenerator) else inner
    if settings.generator == "remote":
        from agent.generation.remote import RemoteGenerator
        from agent.generation.remote_adapters import RemoteAdapters

        called = inner.called if isinstance(inner, RemoteGenerator) else None
        return RemoteAdapters(settings.remote_url, settings.remote_key.get_secret_value() or None, called)
    if settings.generator == "local":
        from agent.generation.local import LocalGenerator

        return inner if isinstance(inner, LocalGenerator) else None
    return None


def read_guide(store: Store, knowledge: KnowledgeBase) -> None:
    """Give the tenant's knowledge base Atelier's own documentation, once for each version of it.

    Whoever removes the guide keeps it removed until it changes.
    """
    tenant = store.settings.tenant
    with as_file(files("connectors") / "guide") as folder:
        pages = {f"guide/{path.name}": path for path in sorted(Path(folder).glob("*.md"))}
        hashes = {source: sha256_of(path) for source, path in pages.items()}
        mark = store.settings.home / f"guide-{tenant}.json"
        now = json.dumps({"store": store.id(), "pages": hashes})
        if mark.exists() and mark.read_text() == now:
            return
        entries = [
            knowledge.entry(source, load(path), content_hash=hashes[source], audience=everyone(tenant))
            for source, path in pages.items()
        ]
        for _ in knowledge.add_all(entries):
            pass
    known = {document.source for document in store.shelf.documents(tenant) if document.file is None}
    store.shelf.remove_all(tenant, [source for source in known if source.startswith("guide/") and source not in pages])
    knowledge.save()
    try:
        write_atomically(mark, now.encode())
    except OSError as error:
        raise StoreError(f"{mark} cannot be written ({error.strerror}). Free some space or check its owner.") from error


def _reencode(knowledge: KnowledgeBase, stop: Event, notice: Notice) -> None:
    try:
        notice("The encoder has changed: documents are being encoded anew while the old index serves.")
        knowledge.reencode(stop=stop.is_set)
    except AtelierError as error:
        notice(f"Encoding anew has stopped: {error} It goes on at the next start.")


def check_generator(settings: Settings) -> str:
    """What the doctor says of the generator. Raises GeneratorError when it cannot be used."""
    if settings.generator == "extractive":
        return "extractive: no language model, answers are quotes"
    if settings.generator == "starter":
        from agent.generation.starter import check_starter

        return check_starter()
    if settings.generator == "remote":
        from agent.generation.remote import check_server

        return check_server(settings.remote_url, settings.remote_model, settings.remote_key.get_secret_value() or None)
    from agent.generation.local import check_model

    return check_model(settings.model)
