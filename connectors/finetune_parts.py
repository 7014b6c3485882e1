"""`atelier finetune heads`, `intent`, `fusion`, `base`: what is trained in the terminal in one go."""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.compose import heads_folder, open_store
from connectors.intents import intent
from connectors.settings import Settings
from retrieval.errors import StoreError

if TYPE_CHECKING:
    from finetune.heads import HeadsReport
    from retrieval.encoder import TransformerEncoder

Arguments = argparse.Namespace
HEADS_MARGIN = 0.03  # of macro-F1: what a seed changes


def _heads(settings: Settings, arguments: Arguments) -> int:
    """A version in the registry; with --out only a folder."""
    from finetune.heads import train_heads
    from finetune.heads_rows import NONE, team_rows
    from retrieval.encoder import TransformerEncoder

    team = team_rows(Path(arguments.rows).expanduser()) if arguments.rows else NONE
    data = _shared_data(arguments)
    encoder = TransformerEncoder(settings.encoder, device=settings.device or None)
    if not data.is_dir():
        print("Without the public data sets (--data FOLDER) the heads learn from the project's own rows alone.")
    with tempfile.TemporaryDirectory(prefix="atelier-") as scratch:
        out = Path(arguments.out or scratch) / ("" if arguments.out else "heads")
        with _writable(out):
            trained = train_heads(encoder, data if data.is_dir() else None, out, arguments.seed, print, team)
        unfair, figures = _swapped(settings, encoder, out)
        for sentence in unfair:
            print(sentence)
        if not arguments.out:
            scores = heads_scores(trained) | figures
            _register_heads(settings, out, scores, promote=arguments.promote, unfair=bool(unfair))
    return 0


def _swapped(settings: Settings, encoder: "TransformerEncoder", folder: Path) -> tuple[list[str], dict[str, float]]:
    """What the swap tests (`finetune/fairness.py`) say against new heads beside what serves, and their figures."""
    from agent.understanding import Understander
    from finetune.fairness import fairness, judge_of

    print("fairness: names, places and spellings are swapped")
    now = Understander(encoder)
    now.take(folder)
    found = fairness(judge_of(now))
    if found.is_fair:
        return [], found.scores()
    serving = Understander(encoder, heads_folder(settings))
    return found.against(fairness(judge_of(serving)) if not serving.notice else None), found.scores()


def _register_heads(
    settings: Settings, folder: Path, scores: dict[str, float], *, promote: bool, unfair: bool = False
) -> None:
    """Keep heads as a version. Those that judge our own rows worse than what serves are not made live.

    unfair: the swap tests speak against them.
    """
    store = open_store(settings)
    try:
        live = store.registry.aliases("heads").live
        version = store.registry.add("heads", folder, scores=scores, kind="heads")
        before = live.scores if live is not None else shipped_scores()
        accuracies = {name: score for name, score in scores.items() if not name.startswith("fairness_")}
        worse = [name for name, score in accuracies.items() if score < before.get(name, 0.0) - HEADS_MARGIN]
        print(f"They are kept as {version.name}.")
        if worse:
            print(f"Not made live: {', '.join(worse)} would fall by more than {HEADS_MARGIN:.2f}. Give more rows.")
        elif unfair:
            print("Not made live: a swap changes their readings more than it may. Give rows that name all alike.")
        elif promote:
            store.registry.promote(version.name)
            print(f"{version.name} is live: the running bot understands with it within seconds.")
        if worse or unfair or not promote:
            print(
                f"Make them live all the same: atelier finetune promote {version.name}"
                if worse or unfair
                else f"Make them live: atelier finetune promote {version.name}"
            )
    finally:
        store.close()


def heads_scores(trained: "HeadsReport") -> dict[str, float]:
    """The macro-F1 of each head on rows of our own that it was not trained on."""
    return {
        f"{head.kind}_macro_f1": figures.macro_f1
        for head in trained.heads
        for figures in head.figures
        if figures.source == "atelier"
    }


def shipped_scores() -> dict[str, float]:
    """The same of the heads that come with Atelier."""
    from agent.understanding import SHIPPED

    scores: dict[str, float] = {}
    for kind in ("intent", "sentiment"):
        card = json.loads((SHIPPED / f"{kind}.json").read_text("utf-8"))
        own = next((each for each in card["figures"] if each["source"] == "atelier"), None)
        scores |= {f"{kind}_macro_f1": float(own["macro_f1"])} if own else {}
    return scores


def _fusion(settings: Settings, arguments: Arguments) -> int:
    from finetune.fusion import train_fusion
    from retrieval.encoder import TransformerEncoder

    out = Path(arguments.out)
    encoder = TransformerEncoder(settings.encoder, device=settings.device or None)
    with _writable(out):
        figures = train_fusion(_shared_data(arguments), out, encoder, seed=arguments.seed, progress=print)
    for pool, first in figures.first.items():
        print(f"  {pool:<20} best candidate answers {first:.3f}")
    print(f"Refusal AUROC {figures.refusal:.3f}, calibration error {figures.calibration:.3f}. Written to {out}.")
    return 0


def _shared_data(arguments: Arguments) -> Path:
    return Path(arguments.data or os.environ.get("ATELIER_DATA") or "../shared/data").expanduser()


@contextmanager
def _writable(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{out} cannot be written ({error.strerror}). Name another place.") from error


def _base(settings: Settings, arguments: Arguments) -> int:  # noqa: ARG001 - the other parts read the settings
    from finetune.base.make import make

    out = Path(arguments.out)
    with _writable(out):
        make(
            _shared_data(arguments),
            out,
            preset=arguments.preset,
            minutes=arguments.minutes,
            rows_a_step=arguments.rows,
            processes=arguments.processes,
            tokenizer=Path(arguments.tokenizer) if arguments.tokenizer else None,
            seed=arguments.seed,
            say=lambda line: print(line, flush=True),
        )
    print(f'Talk with it by the settings generator = "local" and model = "{out}".')
    return 0


LEARN_BY_THEMSELVES: dict[str, Callable[[Settings, Arguments], int]] = {
    "heads": _heads,
    "intent": intent,
    "fusion": _fusion,
    "base": _base,
}
