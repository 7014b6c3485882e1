"""Eighty fixed messages, answered by the extractive generator, by the shipped starter, and by its bare model.

The documents are the made-up handbook and Atelier's own guide; everything else is as in chat. Nothing is scored: the
replies stand side by side, to be read.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence

from agent.generation.extractive import ExtractiveGenerator
from agent.generation.generator import Limits, Piece
from agent.generation.span import SpanReader
from agent.generation.starter import StarterGenerator
from agent.message import Prompt
from retrieval.encoder import TransformerEncoder
from tests.benchmarks import Report
from tests.benchmarks.bench_answers import ask, handbook, opened

MESSAGES = {
    "support": (
        "How many days of leave do I have?",
        "who do I ask for a new laptop?",
        "When is the office open?",
        "How do I report that I am sick?",
        "what's the wifi password",
        "Can I work from another country?",
        "How long is the notice period?",
        "who pays for the train to a customer?",
        "how do I add documents?",
        "What does /help do?",
        "How do I make Atelier forget me?",
        "Who won the football world cup in 1990?",
        "What is the CEO's favourite colour?",
        "where do I find my payslip",
    ),
    "ideation": (
        "Let's brainstorm names for our cat café",
        "Ideas for a cheap team outing in November",
        "How could we make our meetings shorter?",
        "I need a slogan for a bicycle repair shop",
        "use SCAMPER on our onboarding",
        "ways to reduce waste in the kitchen",
        "think of gifts for a colleague who leaves",
        "help me come up with a podcast topic",
        "What could we do for our tenth anniversary?",
        "give me three ideas for a school project on water",
        "new uses for old newspapers",
        "How might we win back customers who left?",
        "something creative for the entrance hall",
    ),
    "chat": (
        "hello",
        "good morning! how are you?",
        "who are you?",
        "are you ChatGPT?",
        "thanks, that helped a lot",
        "tell me a joke",
        "I had a terrible day",
        "what do you think about Mondays?",
        "book me a flight to Rome",
        "what is the weather tomorrow?",
        "do you have a dog?",
        "you are wrong",
        "bye, see you tomorrow",
    ),
}

# Written on 2026-11-27 before any of them was answered.
UNSEEN = {
    "support": (
        "when do I get my salary?",
        "my laptop was stolen, what now?",
        "how many seats does Borealis have?",
        "is there a dog policy",
        "What do I do when the fire alarm goes off?",
        "how much can I spend on books",
        "my password does not work any more",
        "Is the pension matched?",
        "until when can I take last year's holidays",
        "Who is the first aider in Lyon?",
        "what happens if I lose my badge?",
        "How do I cancel my gym membership?",
        "which file formats can you read?",
        "how do I take back my consent?",
    ),
    "ideation": (
        "we need a name for our new newsletter",
        "give me some ideas for a farewell party",
        "How can we get more people to our workshops?",
        "brainstorm: a mascot for a library",
        "what else could a bakery sell in summer?",
        "help us think about how to onboard remote colleagues",
        "ideas please: packaging without plastic",
        "use six thinking hats on moving to a four-day week",
        "I'm stuck with my presentation on soil",
        "suggest a motto for our sports day",
        "find uses for an empty shop window",
        "how might a museum welcome teenagers?",
        "let's come up with a fun format for the retrospective",
    ),
    "chat": (
        "hey there",
        "what's up?",
        "good night",
        "you're great!",
        "how old are you?",
        "I'm so tired today",
        "what can you do?",
        "do you speak German?",
        "order a pizza for me",
        "that was not what I asked",
        "can I talk to a human?",
        "what is the capital of France?",
        "ok",
    ),
}

# What one reader found, who also wrote the mends: nothing here is computed.
READ = (
    "Read on 2026-11-27, the default's: of the forty fixed ones 32 good, 8 fair, none poor (one was, and was mended).",
    "Fair: the nearest find misses and says so, or chance gives starting points where ideas were asked for.",
    "Of the forty unseen ones at first 28 good, 4 fair, 8 poor: five wishes for ideas in forms not read, a bad",
    "day, 'what's up?', consent taken back. After the mends, and no longer unseen: 34 good, 6 fair, none poor.",
)
RUN = 4  # words


class Bare:
    """The model's own likeliest words, held by nothing."""

    name = "bare model"

    def __init__(self) -> None:
        self._reader = SpanReader()

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        yield Piece(self._reader.speak(prompt, tokens=120) or "(comes to no end)")

    async def close(self) -> None:
        pass


def repeated(rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Of all runs of words in the replies of each generator, those that the reply had said before."""
    found = {}
    for name in ("extractive", "starter", "bare model"):
        every, again = 0, 0
        for row in rows:
            said = row[name].lower().split()
            runs = [tuple(said[i : i + RUN]) for i in range(len(said) - RUN + 1)]
            every, again = every + len(runs), again + len(runs) - len(set(runs))
        found[name] = f"{again / max(1, every):.4f}"
    return found


def run(quick: bool) -> Report:
    encoder = TransformerEncoder()
    generators = {
        "extractive": ExtractiveGenerator(encoder),
        "starter": StarterGenerator(encoder),
        "bare model": Bare(),
    }
    rows = [
        {"kind": f"{kind}, unseen" if each is UNSEEN else kind, "message": message}
        for each in (MESSAGES, UNSEEN)
        for kind, some in each.items()
        for message in some[: 2 if quick else None]
    ]
    for name, generator in generators.items():
        with opened(encoder, handbook(), generator) as talk:
            for number, row in enumerate(rows):
                row[name] = ask(talk, row["message"], number).reply.text
    rows += [
        {
            "kind": "repetition",
            "message": f"share of runs of {RUN} words said before in the same reply",
            **repeated(rows),
        }
    ]
    return Report(
        "starter_talk",
        "what is said to eighty fixed messages?",
        rows,
        (
            "The bare model says its likeliest words, and nothing twice; chat never shows them.",
            *READ,
        ),
    )
