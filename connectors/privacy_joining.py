"""What follows outside of memory where an account is joined to a person: one person's rights reach what both left."""

from pathlib import Path

from agent.memory import Memory
from agent.message import Person
from connectors.privacy import withhold
from finetune.examples.forgetting import rename
from retrieval.shelf import Shelf


def joined(before: Person | None, person: Person, memory: Memory, shelf: Shelf, home: Path) -> None:
    """An account was joined to `person`. before: whose it was until then, if anybody's. Raises StoreError.

    What jobs and versions learned from `before` they learned from `person` now. Where not both had given consent there
    is none any more, and what was kept of either's words because of it goes.
    """
    if before is None:
        return
    rename(memory.engine, home, before.id, person.id)
    if not person.consent:
        withhold(person, memory, shelf, home)
