"""A reply as it grows: where addresses in it cannot be clicked, that is said."""

from time import process_time

from agent.draft import UNLINKED, Draft
from agent.generation.generator import Piece
from retrieval.passage import Passage


def of(text: str, *allowed: str) -> Draft:
    draft = Draft((Passage(1, "Sign in at https://intra.acme.com/x.", "a.md", "", None, 1, "a/e", 0.9),), allowed)
    list(draft.take(Piece(text)))
    draft.finish()
    return draft


def test_an_address_of_a_document_that_cannot_be_clicked_is_explained() -> None:
    assert of("Sign in at https://intra.acme.com/x. [1]").unlinked == UNLINKED
    assert of("Sign in at https://intra.acme.com/x. [1]", "intra.acme.com").unlinked == ""
    assert of("I made up https://evil.example/x.").unlinked == ""


def test_a_long_word_holds_nobody_up() -> None:
    draft = of("https://evil.example/x " + "-" * 30_000)
    began = process_time()
    assert draft.unlinked == ""
    assert process_time() - began < 1
