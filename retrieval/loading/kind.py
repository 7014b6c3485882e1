"""What a file is, by its first bytes: names lie, by accident or on purpose."""

import io
import re
from typing import Final, Literal
from zipfile import BadZipFile, ZipFile

from retrieval.loading.source import Source

Kind = Literal["markdown", "plain", "html", "pdf", "docx", "pptx", "xlsx", "csv", "json", "jsonl"]

KINDS: Final[dict[str, Kind]] = {
    ".md": "markdown", ".markdown": "markdown", ".txt": "plain", ".text": "plain", ".rst": "plain", ".log": "plain",
    ".html": "html", ".htm": "html", ".xhtml": "html", ".pdf": "pdf", ".docx": "docx", ".pptx": "pptx",
    ".xlsx": "xlsx", ".xlsm": "xlsx", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}  # fmt: skip
SUFFIXES: Final = frozenset(KINDS)

_MODERN = {".doc": ".docx", ".odt": ".docx", ".rtf": ".docx", ".ppt": ".pptx", ".odp": ".pptx", ".xls": ".xlsx",
           ".ods": ".xlsx", ".docm": ".docx", ".pptm": ".pptx", ".xlsb": ".xlsx"}  # fmt: skip
_PARTS: dict[str, Kind] = {"word/document.xml": "docx", "ppt/presentation.xml": "pptx", "xl/workbook.xml": "xlsx"}
_NAMES: dict[Kind, str] = {
    "pdf": "a PDF file", "docx": "a Word document", "pptx": "a PowerPoint file", "xlsx": "an Excel workbook"
}  # fmt: skip
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FOREIGN = (
    (b"\x89PNG\r\n", "a PNG picture"), (b"\xff\xd8\xff", "a JPEG picture"), (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"), (b"MM\0*", "a TIFF picture"), (b"BM", "a BMP picture"), (b"RIFF", "a media file"),
    (b"ID3", "an MP3 recording"), (b"OggS", "a media file"), (b"fLaC", "a recording"), (b"\x1aE\xdf\xa3", "a video"),
    (b"\x1f\x8b", "a gzip archive"), (b"BZh", "a bzip2 archive"), (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"), (b"Rar!", "a RAR archive"), (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x7fELF", "a program"), (b"MZ", "a program"), (b"\xcf\xfa\xed\xfe", "a program"), (b"SQLite format 3\0",
    "a SQLite database"), (b"PAR1", "a Parquet table"), (b"GGUF", "a model's weights"),
)  # fmt: skip
_LOOSELY = re.IGNORECASE | re.DOTALL
_HTML = re.compile(rb"\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html)\b", _LOOSELY)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def kind_of(source: Source) -> Kind:
    """The loader to take. Text under a wrong name is read as the text it is.

    Raises UnreadableFile when Atelier does not read such files, or when the name says something else.
    """
    named = KINDS.get(source.suffix)
    if named is None:
        modern = _MODERN.get(source.suffix)
        advice = f"Save it as {modern}." if modern else f"It reads {', '.join(sorted(SUFFIXES))}."
        raise source.unreadable(
            f"is a kind of file that Atelier does not read ({source.suffix or 'no suffix'}). {advice}"
        )
    beginning = source.content[:8192]
    is_text = len(_CONTROLS.findall(beginning)) * 50 < len(beginning)
    found = _packed_kind(source, named)
    if found is not None and found != named:
        raise source.unreadable(
            f"is {_NAMES[found]} although its name ends in {source.suffix}. Rename it to end in .{found}."
        )
    if found is not None:
        return found
    if not is_text:
        foreign = next((what for mark, what in _FOREIGN if beginning.startswith(mark)), None)
        if foreign is None and beginning[4:8] == b"ftyp":
            foreign = "a video or picture"
        if foreign is not None:
            raise source.unreadable(
                f"is {foreign} although its name ends in {source.suffix}; it holds no text to read."
            )
    if _HTML.match(beginning):
        return "html"
    if named not in _NAMES:
        return named
    if is_text:
        return "csv" if named == "xlsx" else "plain"
    raise source.unreadable(f"is damaged, or not {_NAMES[named]} at all. Fetch or save it again.")


def _packed_kind(source: Source, named: Kind) -> Kind | None:
    """PDF or a modern Office file; its relatives that are not read raise UnreadableFile."""
    content = source.content
    if content.startswith(b"%PDF-") or (named == "pdf" and b"%PDF-" in content[:1024]):
        return "pdf"
    if content.startswith(b"{\\rtf"):
        raise source.unreadable("is an RTF document. Save it as .docx.")
    if content.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in content:
            raise source.unreadable("is protected by a password. Save it without one.")
        raise source.unreadable("is in the Office format of before 2007. Save it as .docx, .pptx or .xlsx.")
    if not content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return None
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            names = {name.replace("\\", "/").lower() for name in archive.namelist()}
    except (BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise source.unreadable("is damaged: it breaks off or was changed. Fetch or save it again.") from error
    for part, kind in _PARTS.items():
        if part in names:
            return kind
    if named in _NAMES and "[content_types].xml" in names:
        return named
    raise source.unreadable("is a ZIP archive of something else. Unpack it and add the files in it.")
