"""What an Office file must pass before a library opens it: no password, no zip bomb, no XML entities."""

import io
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile

from retrieval.loading.source import MEGABYTE, Source

_MOST_PARTS = 20_000
_LARGEST_UNPACKED = 400 * MEGABYTE
_SUSPICIOUS_RATIO = 200  # deflate's limit is 1032; the emptiest real sheets stay under 100
_HARMLESS = 20 * MEGABYTE  # unpacked; below it a high ratio is a short file of spaces


def check_office(source: Source) -> None:
    """Raises UnreadableFile. zipfile never unpacks more of a part than the central directory says, so that is judged.

    Archives inside the archive are never opened.
    """
    try:
        with ZipFile(io.BytesIO(source.content)) as archive:
            parts = archive.infolist()
            unpacked = sum(part.file_size for part in parts)
            if any(part.flag_bits & 1 for part in parts):
                raise source.unreadable("is protected by a password. Save it without one.")
            if (
                len(parts) > _MOST_PARTS
                or unpacked > _LARGEST_UNPACKED
                or unpacked > max(_HARMLESS, _SUSPICIOUS_RATIO * len(source.content))
                or any(part.file_size > max(_HARMLESS, _SUSPICIOUS_RATIO * part.compress_size) for part in parts)
            ):
                raise source.unreadable(
                    f"unpacks to {unpacked // MEGABYTE} MB, far more than a document needs (a zip bomb?), so it was "
                    "not opened."
                )
            for part in parts:
                if part.filename.endswith((".xml", ".rels", ".vml")) and _declares_entities(archive, part.filename):
                    raise source.unreadable(
                        "declares XML entities, which no Office program writes, so it was not read."
                    )
    except (BadZipFile, EOFError) as error:
        raise source.unreadable("is damaged: it breaks off or was changed. Fetch or save it again.") from error


class _RootReached(Exception):
    pass


def _declares_entities(archive: ZipFile, name: str) -> bool:
    """Whether the part has a document type, where entities are declared. Reads no further than its root element."""
    found: list[str] = []

    def stop(*_: object) -> None:
        raise _RootReached

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = lambda *declaration: found.append(declaration[0])
    parser.EntityDeclHandler = stop
    parser.StartElementHandler = stop
    try:
        with archive.open(name) as part:
            while not found and (piece := part.read(4096)):
                parser.Parse(piece)
    except (_RootReached, expat.ExpatError):
        pass  # malformed XML is the library's to report
    return bool(found)
