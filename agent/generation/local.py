"""A language model in this process, by folder or hub name, with adapters over shared base weights.

transformers' continuous batching runs all requests of one adapter in one batch; what a conversation's turns share is
read once. torch and transformers are imported when a generator is built, not with this module.
"""

import asyncio
import secrets
import threading
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import ExitStack, aclosing, suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from agent.generation import adapters, separate
from agent.generation.generator import Limits, Piece
from agent.generation.loading import check, load
from agent.generation.rendering import ChatMessage, TextStream, fitted, messages_of, render, render_training
from agent.message import Prompt
from retrieval.errors import ModelFailed, Overloaded
from retrieval.files import MANIFEST

if TYPE_CHECKING:
    from agent.generation.engine import Engine

PAGE = 16  # tokens: a turn reads again at most this much of what it shares with the last
BATCH_TOKENS = 512  # a pass: a long prompt makes the others wait this much, not its whole length
BATCH_REQUESTS = 32
CACHE_BYTES = 1 << 30
CACHE_TOKENS = 1 << 15  # of all requests together: transformers keeps a mask of BATCH_TOKENS by this in memory (32 MB)
SETTLE = 0.5  # seconds
WATCH = 1.0  # seconds between looks at whether the engine still lives
DRAIN = 30.0  # seconds that replies in flight may go on when their adapter is removed


class LocalGenerator:
    """A causal model with continuous batching.

    At most `queue` requests are taken at once, running and waiting together. `cache_bytes` bounds the keys and values
    kept for each adapter in use (and one more for the bare model); it also bounds the context window. Sampling settings
    and seeds are each request's own; the repetition penalty weighs the reply's words, not the prompt's.
    """

    def __init__(
        self,
        name_or_folder: str | Path,
        *,
        device: str | None = None,
        dtype: str | None = None,
        queue: int = 64,
        cache_bytes: int = CACHE_BYTES,
        spare_bytes: int | None = None,
    ) -> None:
        """Load the model; this takes seconds. Raises ModelFolderError.

        spare_bytes: memory for models of their own, which some adapters need; None: half of what is free then.
        """
        self._loaded = load(name_or_folder, device, dtype)
        self._name = Path(name_or_folder).expanduser().absolute().name

        import torch

        from agent.generation.attention import install
        from agent.generation.engine import Sizes

        install()
        tokens = min(cache_bytes // _bytes_per_token(self._loaded.model), CACHE_TOKENS)
        pages = max(tokens // PAGE, 8)
        self.window = min(self._loaded.window, (pages - 2) * PAGE)
        self._sizes = Sizes(PAGE, pages, BATCH_TOKENS, BATCH_REQUESTS, torch.get_num_threads())
        self._queue = queue
        self._open = threading.BoundedSemaphore(queue)
        self._engines: dict[str | None, Engine] = {}
        self._adapters: set[str] = set()
        self._separate: dict[str, Any] = {}  # models of adapters that cannot share the base's weights
        self._spare = spare_bytes
        self._fingerprint = ""
        self._lock = threading.Lock()
        self._adding = threading.Lock()
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def folder(self) -> Path:
        """Where the base model lies: what an adapter's fingerprint is taken of."""
        return self._loaded.folder

    @property
    def fingerprint(self) -> str:
        """The base model's, as `base_fingerprint` has it; its files are read once."""
        with self._adding:
            return self._known_fingerprint()

    def _known_fingerprint(self) -> str:
        self._fingerprint = self._fingerprint or adapters.base_fingerprint(self.folder)
        return self._fingerprint

    @property
    def adapters(self) -> frozenset[str]:
        return frozenset(self._adapters)

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """Pieces of the reply as they are made. A prompt longer than the window loses old history lines first.

        Raises Overloaded before anything was taken, ModelFailed when the model fails, is too slow or says nothing.
        """
        if not self._open.acquire(blocking=False):
            raise Overloaded(f"{self.name} is busy with {self._queue} messages. Try again in a moment.")
        try:
            ids, room = self._token_ids(prompt, limits)
            async with aclosing(self._texts(ids, adapter, limits, room)) as texts:
                async for text in texts:
                    yield Piece(text)
        finally:
            self._open.release()

    def _token_ids(self, prompt: Prompt, limits: Limits) -> tuple[list[int], int]:
        """The prompt's token ids, and how many tokens the reply may have."""
        tokenizer = self._loaded.tokenizer
        reply = max(1, min(limits.max_tokens, self.window // 2))
        ids: list[int] = []

        def count(shorter: Prompt) -> int:
            ids[:] = render(messages_of(shorter), tokenizer)
            return len(ids)

        if fitted(prompt, count, self.window - reply) is None:
            raise ModelFailed(
                f"The message is too long for {self.name}, which reads at most {self.window} tokens with its reply. "
                "Send a shorter one."
            )
        return ids, reply  # of the prompt that fitted: it was counted last

    async def _texts(self, ids: list[int], adapter: str | None, limits: Limits, room: int) -> AsyncGenerator[str, None]:
        until = monotonic() + limits.deadline
        loop, arrived = asyncio.get_running_loop(), asyncio.Queue[Any]()

        def receive(output: Any) -> None:
            with suppress(RuntimeError):  # the event loop has closed, and nobody waits any more
                loop.call_soon_threadsafe(arrived.put_nowait, output)

        seed = secrets.randbits(48) if limits.seed is None else limits.seed
        engine, request = self._submit(adapter, ids, limits, room, seed, receive)
        stream, read, finished, said = TextStream(self._loaded.tokenizer, self._loaded.stop), 0, False, False
        try:
            while not finished and not stream.stopped:
                output = await self._next(arrived, engine, until, limits)
                finished = output.is_finished()
                if output.error is not None:
                    await _settled(engine)
                    raise ModelFailed(f"{self.name} failed: {output.error}")
                tokens, read = output.generated_tokens[read:], len(output.generated_tokens)
                text = stream.feed([id_ for id_ in tokens if id_ not in self._loaded.ends], last=finished)
                if not said:
                    text = text.lstrip()
                said = said or bool(text)
                if text:
                    yield text
            if not said:
                raise ModelFailed(f"{self.name} said nothing.")
        finally:
            engine.forget(request, finished=finished)

    async def _next(self, arrived: "asyncio.Queue[Any]", engine: "Engine", until: float, limits: Limits) -> Any:
        """The engine's next output. Raises ModelFailed at the deadline, or when the engine has died."""
        while (left := until - monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, WATCH)):
                    return await arrived.get()
            if not engine.alive and arrived.empty():
                raise ModelFailed(f"{self.name} failed: {engine.failure}.")
        raise ModelFailed(f"{self.name} took longer than {limits.deadline:g} seconds.")

    def _submit(
        self, adapter: str | None, ids: list[int], limits: Limits, room: int, seed: int, receive: Any
    ) -> tuple["Engine", str]:
        """Queue a request at the engine of `adapter`, building a new engine where there is none or it has died."""
        from agent.generation.engine import Engine

        with self._lock:
            if self._closed:
                raise ModelFailed(f"{self.name} is closed.")
            if adapter is not None and adapter not in self._adapters:
                known = ", ".join(sorted(self._adapters)) or "none"
                raise ModelFailed(f"No adapter {adapter!r} is loaded (loaded: {known}).")
            engine, ends = self._engines.get(adapter), list(self._loaded.ends)
            if engine is not None and engine.alive:
                with suppress(ModelFailed):  # it died just now
                    return engine, engine.submit(ids, ends, room, limits, seed, receive)
            model, voice = self._voice(adapter)
            try:
                engine = self._engines[adapter] = Engine(model, voice, self._sizes)
            except Exception as error:  # out of memory, or whatever else the device says
                raise ModelFailed(f"{self.name} could not start ({type(error).__name__}).") from error
            return engine, engine.submit(ids, ends, room, limits, seed, receive)

    def _voice(self, adapter: str | None) -> tuple[Any, str | None]:
        """The model that speaks as `adapter`, and the name it does so by."""
        own = self._separate.get(adapter) if adapter is not None else None
        return (self._loaded.model, adapter) if own is None else (own, None)

    def add_adapter(self, name: str, folder: str | Path) -> None:
        """Serve the adapter in `folder` as `name`, beside those that serve already; replies in flight go on.

        Takes some tens of milliseconds, or as long as the model took where the adapter needs one of its own, so it is
        called from a thread. Raises ModelFolderError with everything as it was: an adapter that is damaged, of another
        base or kind, that finds no memory, or a name that is taken.
        """
        adapters.check_name(name)
        with self._adding:
            if name in self._adapters:
                raise adapters.taken(name)
            template, base = self._loaded.tokenizer.chat_template, self._known_fingerprint
            sealed = (Path(folder) / MANIFEST).exists()  # only then the base's fingerprint is asked for
            files = adapters.read_adapter(Path(folder), self.folder, template, base() if sealed else "")
            own = None if files.is_shared else separate.build(Path(folder), files, self._loaded, self._spare)
            with self._lock, self._paused():
                if own is None:
                    adapters.attach(self._loaded.model, name, files)
                else:
                    self._separate[name] = own
                self._adapters.add(name)

    def remove_adapter(self, name: str) -> None:
        """Take no more requests for `name`, let those in flight finish, then free its memory. Unknown names pass.

        Waits for replies in flight, half a minute at most, so it is called from a thread.
        """
        with self._lock:
            if name not in self._adapters:
                return
            self._adapters.discard(name)
            engine = self._engines.pop(name, None)
        if engine is not None:
            engine.stop(drain=DRAIN)
        with self._lock:
            if self._separate.pop(name, None) is None:
                with self._paused():
                    adapters.detach(self._loaded.model, name)

    def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """How many tokens a conversation takes, before its reply."""
        return len(render(messages, self._loaded.tokenizer))

    async def complete(self, messages: Sequence[ChatMessage], adapter: str | None, limits: Limits) -> str:
        """The whole reply to a conversation as it stands. Raises ModelFailed as `stream`, also when it is too long."""
        ids = render(messages, self._loaded.tokenizer)
        room = min(limits.max_tokens, self.window - len(ids))
        if room < 1:
            raise ModelFailed(f"The conversation is too long for {self.name}, which reads {self.window} tokens.")
        async with aclosing(self._texts(ids, adapter, limits, room)) as texts:
            return "".join([text async for text in texts])

    def token_losses(
        self, messages: Sequence[ChatMessage], adapter: str | None, *, untrained: Collection[int] = ()
    ) -> list[float]:
        """How surprised the model is by each token that training would learn, in nats, speaking as `adapter`.

        untrained: as in `render_training`. Blocks; replies in flight wait meanwhile.
        """
        import torch

        ids, mask = render_training(messages, self._loaded.tokenizer, untrained=untrained)
        model, voice = self._voice(adapter)
        rows = [i for i in range(1, len(ids)) if mask[i]]
        with self._lock, self._paused(), torch.inference_mode(), adapters.speaking_as(voice):
            tokens = torch.tensor([ids], device=model.device)
            made = model(input_ids=tokens, use_cache=False, is_causal=True)
            logits = made.logits[0, [i - 1 for i in rows]].float()
            losses: list[float] = torch.nn.functional.cross_entropy(logits, tokens[0, rows], reduction="none").tolist()
        return losses

    def _paused(self) -> ExitStack:
        """While inside, no engine runs a pass."""
        with ExitStack() as stack:
            for engine in self._engines.values():
                if engine.alive:
                    with suppress(RuntimeError):  # it died while it was asked
                        stack.enter_context(engine.pause())
            return stack.pop_all()

    async def close(self) -> None:
        """Stop every engine, for good; replies in flight end with ModelFailed."""
        with self._lock:
            self._closed = True
            engines, self._engines = list(self._engines.values()), {}
        for engine in engines:
            await asyncio.to_thread(engine.stop, drain=0.0)


async def _settled(engine: "Engine") -> None:
    """Give an engine that fails its requests a moment to die: the next one must meet it dead, and get another."""
    until = monotonic() + SETTLE
    while engine.alive and monotonic() < until:  # noqa: ASYNC110 - transformers' thread tells nobody when it ends
        await asyncio.sleep(0.01)


def check_model(name_or_folder: str | Path) -> str:
    """What can be said of a model without loading its weights: a line for a person. Raises ModelFolderError."""
    return f"local: {check(name_or_folder)}"


def _bytes_per_token(model: Any) -> int:
    """Memory of one token's keys and values in all layers."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * model.dtype.itemsize)
