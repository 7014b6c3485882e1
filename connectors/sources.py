"""`atelier sources`: what is read again and again, how it stands, and a round of it now."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from connectors.cases import noted
from connectors.compose import open_knowledge, open_store
from connectors.settings import Settings, load_settings
from connectors.sources_settings import Sources
from retrieval.addresses import Allows, is_never, is_public, is_this_machine
from retrieval.errors import SettingsError, UnreadableFile
from retrieval.watched import Known, Look, Wanted, Watcher, known_sources
from retrieval.web import Web

Arguments = argparse.Namespace
SHOWN = 5  # documents of a source that are named


def allowed(sources: Sources) -> Allows:
    """The open internet, and the servers of their own network that a team has named. Never what is only this machine's.

    A cloud's own services answer under link-local addresses, with passwords: no setting opens these.
    """
    named = frozenset(sources.private_hosts)

    def allows(host: str, address: str) -> bool:
        if is_public(address):
            return True
        return host.lower().rstrip(".") in named and not is_never(address) and not is_this_machine(address)

    return allows


def wanted(settings: Settings) -> list[Wanted]:
    return [Wanted(each.address, each.audience) for each in settings.sources.read]


def sources(arguments: Arguments) -> int:
    settings, as_json = load_settings(arguments.settings), getattr(arguments, "json", False)
    if arguments.action == "read":
        return _read(settings, as_json=as_json)
    if arguments.action == "drop":
        return _drop(settings, arguments.addresses)
    store = open_store(settings)
    try:
        known = known_sources(store.engine, settings.tenant)
    finally:
        store.close()
    rows = _rows(wanted(settings), known)
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    if not rows:
        print('Nothing is read again and again. Name what is to be in the settings: [sources] read = ["…"].')
        return 0
    for row in rows:
        audience = f"  for {row['audience']}" if row["audience"] else ""
        print(f"{row['address']}{audience}\n    {row['state']}")
    every = settings.sources.every
    print(f"`atelier serve` reads them every {every} minutes." if every else "They are read by `atelier sources read`.")
    return 0


def _read(settings: Settings, *, as_json: bool) -> int:
    store = open_store(settings)
    _, knowledge = open_knowledge(store, lambda sentence: print(sentence, file=sys.stderr))
    try:
        watcher = Watcher(store.engine, knowledge, settings.tenant, lambda: Web(allowed(settings.sources)))
        looks = asyncio.run(watcher.look(wanted(settings)))
        for look in looks:
            if look.is_news:
                noted(store, "sources read", look.address)
        watcher.told(looks)
    finally:
        knowledge.close()
        store.close()
    if as_json:
        print(json.dumps([_look(each) for each in looks], ensure_ascii=False, indent=2))
    else:
        for look in looks:
            print(said(look))
        if not looks:
            print("Nothing is on the list: [sources] read names folders and web addresses.")
    return 1 if any(look.problem and not look.is_off for look in looks) else 0


def _drop(settings: Settings, addresses: Sequence[str]) -> int:
    """Let the documents of sources go that are on the list no more; without a name only say what would go."""
    store = open_store(settings)
    _, knowledge = open_knowledge(store, lambda sentence: print(sentence, file=sys.stderr))
    try:
        watcher = Watcher(store.engine, knowledge, settings.tenant)
        if not addresses:
            off = watcher.off(wanted(settings))
            for address, left in off.items():
                print(f"{address}: {_documents(len(left))} would go ({', '.join(left[:SHOWN])}).")
            print("`atelier sources drop ADDRESS` removes them." if off else "Nothing waits to be removed.")
            return 0
        for address in addresses:
            gone = watcher.let_go(address, wanted(settings))
            if gone is None:
                raise SettingsError(
                    f"{address} is on the list, or not known. `atelier sources drop` shows what can be removed."
                )
            noted(store, "sources drop", address)
            print(said(gone))
        return 0
    finally:
        knowledge.close()
        store.close()


def _documents(count: int) -> str:
    return f"{count} document{'' if count == 1 else 's'}"


def said(look: Look) -> str:
    """What one look found, in a line."""
    if look.left:
        left = _documents(len(look.left))
        return f"{look.address}: not on the list any more; `atelier sources drop` removes what is left of it, {left}"
    if look.problem:
        return f"{look.address}: {look.problem}"
    counts = ((len(look.added), "new"), (len(look.updated), "changed"), (len(look.removed), "gone"))
    found = ", ".join(f"{count} {what}" for count, what in counts if count) or "unchanged"
    lost = f", {len(look.unreadable)} not readable" if look.unreadable else ""
    return f"{look.address}: {found}{lost}{' (taken off the list)' if look.is_off else ''}"


def _rows(listed: Sequence[Wanted], known: dict[str, Known]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    rest = dict(known)
    for each in listed:
        try:
            state = rest.pop(each.key, None)
        except UnreadableFile as error:
            rest.pop(each.name, None)
            rows.append({"address": each.name, "audience": each.audience, "state": str(error)})
            continue
        rows.append({"address": each.address, "audience": each.audience, "state": _state(state)} | _facts(state))
    for state in rest.values():
        taken_off = "not on the list any more; its documents stay until `atelier sources drop` removes them"
        rows.append({"address": state.address, "audience": None, "state": taken_off} | _facts(state))
    return rows


def _state(state: Known | None) -> str:
    if state is None:
        return "not read yet"
    changed = f", changed {_moment(state.changed)}" if state.changed else ""
    problem = f"; not readable now: {state.problem}" if state.problem else ""
    return f"looked at {_moment(state.looked)}{changed}{problem}"


def _facts(state: Known | None) -> dict[str, object]:
    if state is None:
        return {"looked": None, "changed": None, "problem": ""}
    return {
        "looked": _moment(state.looked) if state.looked else None,
        "changed": _moment(state.changed) if state.changed else None,
        "problem": state.problem,
    }


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _look(look: Look) -> dict[str, object]:
    facts = {name: list(getattr(look, name)) for name in ("added", "updated", "removed", "unreadable")}
    return {
        "address": look.address,
        **facts,
        "problem": look.problem,
        "off_the_list": look.is_off,
        "left": list(look.left),
    }
