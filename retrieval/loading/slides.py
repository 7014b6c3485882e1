"""PowerPoint: each slide is a page under its title, with its tables and the speaker's notes."""

import io
from collections.abc import Iterator
from typing import Any

from retrieval.document import Document
from retrieval.loading.office import check_office
from retrieval.loading.outline import Outline
from retrieval.loading.source import Source
from retrieval.loading.text import clean_line


def load_pptx(source: Source) -> Document:
    import pptx

    check_office(source)
    opened = pptx.Presentation(io.BytesIO(source.content))
    outline = Outline()
    deck_title = ""
    for page, slide in enumerate(opened.slides, start=1):
        shape = slide.shapes.title
        title = clean_line(shape.text_frame.text) if shape is not None and shape.has_text_frame else ""
        if page == 1:
            deck_title = title
        outline.enter(1, title or f"Slide {page}", page=page)
        for block in _blocks(slide.shapes, shape):
            if isinstance(block, str):
                outline.add(block, page=page)
            else:
                rows = [(None, [clean_line(cell.text) for cell in row.cells]) for row in block.rows]
                outline.add_table(rows, page=page, marked=block.first_row)
        notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        if notes is not None and notes.text.strip():
            outline.add(f"Notes: {notes.text.strip()}", page=page)
    return Document(deck_title, outline.finish(deck_title))


def _blocks(shapes: Any, title: Any) -> Iterator[Any]:
    """The texts and tables of a slide."""
    from pptx.enum.shapes import PP_PLACEHOLDER

    furniture = (PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.DATE)
    for shape in shapes:
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if shape.is_placeholder and shape.placeholder_format.type in furniture:
            continue
        if hasattr(shape, "shapes"):
            yield from _blocks(shape.shapes, None)
        elif getattr(shape, "has_table", False):
            yield shape.table
        elif shape.has_text_frame:
            yield "\n".join(p.text for p in shape.text_frame.paragraphs if p.text.strip())
