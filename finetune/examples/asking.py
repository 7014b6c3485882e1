"""Questions that a language model makes of passages, where one is configured; unchecked as yet."""

import asyncio
import re
from collections.abc import Sequence

from agent.generation.generator import Generator, Limits
from agent.message import History, Intent, Move, Prompt
from agent.surface import looks_like_question
from finetune.examples.passages import Shelved
from retrieval.errors import GeneratorError

MOST = 3  # questions of one passage
LONGEST = 200  # characters of a question
_PERSONA = "You write questions that a colleague could ask, short and in the language of the passage."
_WISH = (
    "Write {most} questions that this passage answers, one a line, and nothing else. Name what is asked about; do not "
    'say "the passage".\n\n{text}'
)
_MARK = re.compile(r"^[\s\-*•>]*(?:\(?\d{1,2}[.)]|Q\d*[:.])?\s*")
_LEANS = re.compile(r"(?i)\b(?:th(?:is|e) (?:passage|text|document|section|above)|dies(?:er|em) (?:Text|Abschnitt))\b")


async def ask_model(
    generator: Generator, shelved: Sequence[Shelved], *, parallel: int = 8
) -> dict[int, tuple[str, ...]]:
    """Up to MOST questions a passage, by passage id; none where the model fails or says something else."""
    gate = asyncio.Semaphore(parallel)

    async def asked(each: Shelved) -> tuple[int, tuple[str, ...]]:
        passage = each.passage
        text = f"{passage.heading}\n{passage.text}" if passage.heading else passage.text
        wish = _WISH.format(most=MOST, text="\n".join(f"> {line}" for line in text.splitlines()))
        prompt = Prompt(_PERSONA, History(), wish, Intent.ASK, Move.CHAT)
        said = ""
        async with gate:
            try:
                async for piece in generator.stream(prompt, None, Limits(max_tokens=120, temperature=0.0)):
                    said = piece.text if piece.replaces else said + piece.text
            except GeneratorError:  # one passage without a question is no reason to have none
                return passage.id, ()
        return passage.id, questions_in(said)

    found = await asyncio.gather(*map(asked, shelved))
    return {id_: questions for id_, questions in found if questions}


def questions_in(text: str) -> tuple[str, ...]:
    """The lines that ask something and can be understood without the passage."""
    lines = (_MARK.sub("", line).strip(' *_"“”') for line in text.splitlines())
    kept = [
        line for line in lines if 8 <= len(line) <= LONGEST and looks_like_question(line) and not _LEANS.search(line)
    ]
    return tuple(dict.fromkeys(kept))[:MOST]
