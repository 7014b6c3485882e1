"""`atelier why "TEXT"`: how a text is understood and what decided that, with the heads that are live."""

import argparse
import json

from agent.explain import explain
from agent.guard import check_message
from agent.understanding import Understander
from connectors.compose import heads_folder, open_store
from connectors.desk.explaining import as_json, explained
from connectors.settings import load_settings
from retrieval.encoder import TransformerEncoder


def why(arguments: argparse.Namespace) -> int:
    """Raises MessageRefused for an empty text, EncoderError, HeadError, StoreError."""
    text = check_message(" ".join(arguments.text))
    settings = load_settings(arguments.settings)
    encoder = TransformerEncoder(settings.encoder, device=settings.device or None)
    understander = Understander(encoder, heads_folder(settings))
    store = open_store(settings)
    try:
        live = store.registry.aliases("heads").live
        if live is not None:
            understander.take(store.registry.fetch(live))
    finally:
        store.close()
    explanation = explain(understander, text)
    if arguments.json:
        print(json.dumps(as_json(explanation), ensure_ascii=False, indent=2))
    else:
        print(explained(explanation, "en").replace("**", ""))
    return 0
