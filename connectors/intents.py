"""`atelier finetune intent FILE`: a team's own intents from a few examples each, and what to do next about them."""

import argparse
import csv
import io
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.compose import heads_folder, open_store
from connectors.settings import Settings
from retrieval.errors import StoreError
from retrieval.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

    from finetune.few_shot import Learned
    from finetune.few_shot_labels import Labelled
    from finetune.heads_data import Row
    from retrieval.encoder import Encoder

Arguments = argparse.Namespace
MOST_SHOWN = 5  # overlaps
KNOWN = 0.9  # how well the encoder knows a language that it reads well: the default English 1, Spanish .87, German .63


def intent(settings: Settings, arguments: Arguments) -> int:
    """Learn the intents, say how well, and keep them as a version of the heads; with --out only in a folder."""
    from finetune.few_shot import learn
    from finetune.few_shot_folder import KIND, write_intents
    from finetune.few_shot_labels import CHAT, NOTHING, Labels
    from finetune.few_shot_messages import agreed_messages, messages_in, said_by
    from finetune.heads_rows import team_rows
    from finetune.registry import Learned as LearnedFrom
    from retrieval.encoder import TransformerEncoder

    examples = team_rows(Path(arguments.file).expanduser(), all_own=True).topic
    store = open_store(settings)
    try:
        unlabelled = messages_in(Path(arguments.unlabelled).expanduser()) if arguments.unlabelled else []
        whose: dict[str, str] = {}
        if arguments.from_chat:
            unlabelled += (whose := agreed_messages(store.engine, settings.tenant))
            print(
                f"{len(whose)} stored messages of people who agreed are read, private chats too, and shown to nobody. "
                "Those that teach most are labelled in the chat: an administrator writes /label there."
            )
        kind: str = arguments.kind
        asked = Labels(store.engine, settings.tenant).rows() if kind == KIND else NOTHING
        labelled = _labelled(asked, examples)
        whose |= {row.text: author for row, author in zip(labelled.rows, labelled.authors, strict=True)}
        stored = said_by(store.engine, settings.tenant, [*(row.text for row in examples), *unlabelled, *whose])
        said = {text: frozenset({author}) for text, author in whose.items()} | stored
        own = tuple(replace(row, source=CHAT) if row.text in said else row for row in examples)
        if copied := sum(row.source == CHAT for row in own):
            print(f"Rows of the file that are messages from the chat, whose words stay hidden: {copied}.")
        encoder = TransformerEncoder(settings.encoder, device=settings.device or None)
        if hint := foreign([row.text for row in own], encoder):
            print(hint)
        learned = learn(
            encoder,
            (*own, *labelled.rows),
            unlabelled,
            seed=arguments.seed,
            propose=arguments.propose,
            unshown=said,
            is_scoped=kind == KIND,
            progress=print,
        )
        print("\n".join(told(learned, has_messages=bool(unlabelled))))
        if arguments.label_next:
            _write_proposals(Path(arguments.label_next).expanduser(), learned.proposed)
        live = store.registry.aliases("heads").live
        beside = store.registry.fetch(live) if live is not None else heads_folder(settings)
        if arguments.out:
            write_intents(Path(arguments.out).expanduser(), learned, encoder, beside, kind)
            return 0
        with tempfile.TemporaryDirectory(prefix="atelier-") as scratch:
            folder = Path(scratch) / "heads"
            write_intents(folder, learned, encoder, beside, kind)
            taught = (*learned.taught, *(row.text for row in learned.rows))
            taught_by = LearnedFrom(persons=frozenset[str]().union(*(said.get(text, ()) for text in taught)))
            scores = {f"{kind}_accuracy": learned.judged.accuracy, f"{kind}_ece": learned.judged.ece}
            version = store.registry.add("heads", folder, scores=scores, kind="heads", learned_from=taught_by)
        print(f"They are kept as {version.name}.")
        if arguments.promote:
            store.registry.promote(version.name)
            print(f"{version.name} is live: the running bot understands with it within seconds.")
        else:
            print(f"Make them live: atelier finetune promote {version.name}")
    finally:
        store.close()
    return 0


def foreign(texts: "Sequence[str]", encoder: "Encoder") -> str:
    """What to say where the encoder hardly knows the language of the examples; nothing where it does."""
    from retrieval.language import spoken

    if sum(spoken(text, encoder.pieces(text)) for text in texts) >= KNOWN * len(texts):
        return ""
    return (
        "The encoder knows the language of these examples only in part, so it takes more of them, and some intents "
        "will be confused. An encoder of that language reads them better: set `encoder` and run this again."
    )


def _labelled(found: "Labelled", examples: "Sequence[Row]") -> "Labelled":
    """What was labelled with `/label` of the file's intents, without the file's own texts; said to who trains."""
    told_already = {row.text for row in examples}
    known = found.known({row.label for row in examples if row.label is not None}, told_already)
    if known.rows:
        print(f"Messages that were labelled in chat are learned from too: {len(known.rows)}.")
    if others := sorted({row.label for row in found.rows if row.label} - {row.label for row in examples}):
        print(f"Labels from chat that the file has no examples of were left out: {', '.join(others)}.")
    return known


def told(learned: "Learned", *, has_messages: bool) -> list[str]:
    """What was learned, how well, where intents overlap, and which messages to label next: a line each."""
    plain, judged = learned.plain, learned.judged
    with_branch = "with upper layers of their own" if learned.branch is not None else "by the frozen encoder alone"
    right = f"{judged.accuracy:.0%} of examples that were held back are read right"
    frozen = f" (by the frozen encoder {plain.accuracy:.0%})" if learned.branch is not None else ""
    how = f"{right}{frozen}, calibration error {judged.ece:.3f}"
    lines = [f"{len(learned.labels)} intents learned {with_branch} in {learned.seconds:.0f} s: {how}."]
    for each in learned.overlaps[:MOST_SHOWN]:
        lines.append(f"{each.one} and {each.other} overlap: {each.share:.0%} of their examples are confused.")
        lines += [f"    {each.one}: “{one}”   {each.other}: “{other}”" for one, other in each.pairs]
    if len(learned.overlaps) > MOST_SHOWN:
        lines.append(f"… and {len(learned.overlaps) - MOST_SHOWN} more pairs that overlap.")
    if learned.overlaps:
        lines.append("Join such intents, or give examples that tell them apart.")
    if has_messages:
        lines.append(f"Messages without labels: {learned.self_taught}.")
    if learned.proposed:
        lines.append("Label these next, they teach the most:")
        lines += [f"    {text}" for text in learned.proposed]
    return lines


def _write_proposals(file: Path, texts: tuple[str, ...]) -> None:
    """A CSV with an empty column `label`: filled in, it is a file to learn from. Raises StoreError."""
    if not texts:
        print(f"{file} is not written: no messages of a file of your own wait for a label (--unlabelled names one).")
        return
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(["text", "label"])
    writer.writerows([text, ""] for text in texts)
    try:
        write_atomically(file, written.getvalue().encode())
    except OSError as error:
        raise StoreError(f"{file} cannot be written ({error.strerror}). Name another place.") from error
    print(f"They are in {file}: fill in the labels and give the rows to the next run.")
