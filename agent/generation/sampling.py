"""Each request of a batch draws its tokens by its own settings.

transformers' continuous batching has one greedy-or-sampling switch and one random state a manager. This processor
chooses every row's token itself and leaves it as the row's only finite score, which the manager's greedy choice takes.
"""

import torch
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.continuous_batching.requests import FutureRequestState, RequestState
from transformers.generation.logits_process import LogitsProcessorList

CANDIDATES = 1024  # a nucleus of speech is rarely wider; sorting 150,000 scores for each token is a fifth of a step


class RequestSampler(ContinuousBatchingLogitsProcessor):  # type: ignore[misc] # transformers ships no types
    """Temperature, nucleus, repetition penalty and seed, each request its own.

    Equals `generate` with the same settings and `prompt_ignore_length` at the prompt's length: only the reply's own
    words are penalised, since a prompt's passages are there to be quoted. A seed repeats a reply as long as the scores
    repeat: in bfloat16 they may differ in the last bit with the requests beside it.
    """

    supported_kwargs: dict[str, type] = {"temperature": float, "top_p": float, "repetition_penalty": float, "seed": int}  # noqa: RUF012 - typed so by transformers
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._states: list[RequestState] = []

    def as_list(self) -> ContinuousBatchingLogitsProcessorList:
        """What a manager takes as its `logit_processor`."""
        processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([self]))
        processors.tensors_required = 1
        return processors

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[FutureRequestState]) -> torch.Tensor:
        self._states = [request.state for request in requests_with_new_token]  # rows of the scores come in this order
        return torch.zeros(len(self._states), dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        """Scores of the next token, (rows, vocabulary) float32, each row reduced to its chosen token.

        Rows beyond the requests that await a token belong to prompts still being read, and are ignored downstream.
        """
        del tensor_arg
        for row, state in zip(scores, self._states, strict=False):
            settings = state.logit_processor_kwargs
            said = state.to_generation_output().generated_tokens  # whole, also after the request was moved out and back
            token = choose(row, said, **settings)
            row.fill_(float("-inf"))
            row[token] = 0.0
        return scores


def choose(
    scores: torch.Tensor, said: list[int], *, temperature: float, top_p: float, repetition_penalty: float, seed: int
) -> int:
    """The next token from `scores`, (vocabulary,) float32, after the tokens `said`. Temperature 0 is greedy."""
    if repetition_penalty != 1.0 and said:  # Keskar et al. 2019, section 4.1
        ids = torch.tensor(sorted(set(said)), device=scores.device)
        seen = scores[ids]
        scores = scores.index_copy(0, ids, torch.where(seen < 0, seen * repetition_penalty, seen / repetition_penalty))
    if temperature == 0.0:
        return int(scores.argmax())
    scores = scores / temperature
    total = scores.logsumexp(-1)
    best, ids = scores.topk(min(CANDIDATES, len(scores)))
    chances = (best - total).exp()
    if chances.sum() < top_p:
        best, ids = scores.sort(descending=True)
        chances = (best - total).exp()
    kept = chances.cumsum(-1) - chances < top_p  # nucleus sampling, Holtzman et al. 2020
    kept[0] = True
    # One generator a token, keyed by its position: nothing to keep when a request is moved out and begins again.
    generator = torch.Generator(scores.device).manual_seed((seed * 1_000_003 + len(said)) % 2**63)
    return int(ids[torch.multinomial(chances * kept, 1, generator=generator)])
