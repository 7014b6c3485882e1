"""One continuous-batching manager of transformers: many requests, one batch, shared prefix pages.

See transformers' documentation, "Continuous batching". An engine speaks as the bare model or as one adapter; several
engines share the weights, and none shares its pages, since pages of one adapter are wrong for another.
"""

import itertools
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig
from transformers.generation.continuous_batching.continuous_api import OutputRouter
from transformers.generation.continuous_batching.requests import GenerationOutput

from agent.generation.adapters import speaking_as
from agent.generation.generator import Limits
from agent.generation.sampling import RequestSampler
from retrieval.errors import ModelFailed

STOP = 5.0  # seconds for a pass to end when an engine is stopped
Receiver = Callable[[GenerationOutput], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The memory an engine may take. Its cache holds `page` x `pages` tokens for all its requests together.

    batch_tokens: the most tokens in one pass, so the longest a prompt makes other requests wait. batch_requests: the
    most requests in one pass. threads: that torch uses for a pass.
    """

    page: int
    pages: int
    batch_tokens: int
    batch_requests: int
    threads: int


class Engine:
    """Runs a manager on a thread of its own. After a failure it takes nothing more: replace it."""

    def __init__(self, model: Any, adapter: str | None, sizes: Sizes) -> None:
        config = ContinuousBatchingConfig(
            page_size=sizes.page,
            num_blocks=sizes.pages,
            max_batch_tokens=sizes.batch_tokens,
            max_requests_per_batch=sizes.batch_requests,
            max_memory_percent=0.95,
            use_async_batching=False,
            use_cuda_graph=False,
            auto_switch_to_flash=False,  # switches the shared model under the other engines
        )
        for shared in (model.config, model.config.get_text_config()):
            # A pass sets this and puts back what it found: two at once raised, or left it set for the bare model too.
            shared.is_causal = False  # as every pass of an engine has it, since it brings a mask
        greedy = GenerationConfig(do_sample=False, eos_token_id=-1)
        self._manager = model.init_continuous_batching(greedy, config)
        self._manager.model = _Voice(model, adapter, sizes.threads)
        self._manager.logit_processor = RequestSampler().as_list()
        self._router = _Router(self._manager.cancel_request)
        self._manager.output_router = self._router
        self._names = itertools.count()
        # A thread inherits being a daemon from its starter: a forgotten close() must not keep the process alive.
        starter = threading.Thread(target=self._manager.start, daemon=True)
        starter.start()
        starter.join()

    @property
    def alive(self) -> bool:
        return self._manager.is_running() and self._manager.background_thread_status.fatal_error is None

    @property
    def failure(self) -> str:
        return str(self._manager.background_thread_status.fatal_error or "it stopped")

    def submit(self, ids: list[int], ends: list[int], tokens: int, limits: Limits, seed: int, receive: Receiver) -> str:
        """Queue a prompt; `receive` is called on the engine's thread with all tokens so far, after each new one.

        ends: token ids that end a reply. tokens: the most to make. Raises ModelFailed if the engine has died.
        """
        name = f"request-{next(self._names)}"
        self._router.receivers[name] = receive
        taken = self._manager.add_request(
            ids,
            request_id=name,
            max_new_tokens=tokens,
            streaming=True,
            eos_token_id=ends,
            temperature=float(limits.temperature),
            top_p=float(limits.top_p),
            repetition_penalty=float(limits.repetition_penalty),
            seed=seed,
        )
        if taken is None:
            del self._router.receivers[name]
            raise ModelFailed(f"The model failed: {self.failure}.")
        return name

    def forget(self, name: str, *, finished: bool) -> None:
        """Deliver nothing more of a request; cancel it unless it has `finished`."""
        self._router.receivers.pop(name, None)
        if not finished:
            self._manager.cancel_request(name)

    def pause(self) -> AbstractContextManager[None]:
        """While inside, no forward pass runs."""
        paused: AbstractContextManager[None] = self._manager.pause()
        return paused

    def stop(self, *, drain: float) -> None:
        """Let requests in flight finish for at most `drain` seconds, fail the rest, and free the cache."""
        if drain > 0:
            self._manager.stop(block=True, timeout=drain)
        if self._manager.is_running():
            self._manager.stop(block=True, timeout=STOP, hard_stop=True)


class _Voice:
    """The shared model speaking as one adapter: what a manager calls in the model's place."""

    def __init__(self, model: Any, adapter: str | None, threads: int) -> None:
        self._model, self._adapter, self._threads = model, adapter, threads

    def __call__(self, **inputs: Any) -> Any:
        if torch.get_num_threads() != self._threads:  # a thread that is born while texts are encoded has one, for good
            torch.set_num_threads(self._threads)
        with speaking_as(self._adapter):
            return self._model(**inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class _Router(OutputRouter):  # type: ignore[misc] # transformers ships no types
    """Hands each output to its request's receiver, on the engine's thread.

    transformers' own router delivers a batch on the event loop of its last request, and dies with a closed loop.
    """

    def __init__(self, cancel: Callable[[str], None]) -> None:
        super().__init__()
        self.receivers: dict[str, Receiver] = {}
        self._cancel = cancel

    def deliver(self, output: GenerationOutput) -> None:
        receive = self.receivers.get(output.request_id)
        if receive is not None:
            receive(output)
        elif not output.is_finished():
            self._cancel(output.request_id)  # the cancellation overtook its request, and was dropped

    def deliver_batch(self, outputs: list[GenerationOutput]) -> None:
        for output in outputs:
            self.deliver(output)
