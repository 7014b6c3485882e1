"""What the bot sent with a call: query, form, multipart or JSON. https://core.telegram.org/bots/api#making-requests"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField

from tests.emulators.telegram_text import parse_json
from tests.emulators.telegram_values import Json, bad_request

MOST_UPLOAD = 50_000_000  # bytes; https://core.telegram.org/bots/api#sending-files


@dataclass(frozen=True, slots=True)
class Upload:
    name: str
    mime: str
    content: bytes = field(repr=False)


class Params:
    """Typed reading of the parameters; each reader raises ApiError 400 on a value of the wrong kind."""

    def __init__(self, values: Mapping[str, Any], files: Mapping[str, Upload] | None = None) -> None:
        self.values = values
        self.files = files or {}

    def text(self, name: str) -> str:
        """ "" when missing."""
        value = self.values.get(name)
        return "" if value is None else str(value)

    def integer(self, name: str) -> int | None:
        value = self.values.get(name)
        if value is None or value == "":
            return None
        try:
            return int(value)
        except (TypeError, ValueError):
            raise bad_request(f'parameter "{name}" must be an Integer') from None

    def flag(self, name: str) -> bool:
        return str(self.values.get(name, "")).lower() in {"true", "1", "yes"}

    def parsed(self, name: str) -> Any:
        """An object or a list: JSON text in forms, plain inside a JSON body. None when missing."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        return parse_json(value, name) if isinstance(value, str) else value

    def mapping(self, name: str) -> Json:
        value = self.parsed(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise bad_request(f"can't parse {name}: expected an Object")
        return value

    def file(self, name: str) -> Upload | str:
        """An upload, or the file id or address given instead."""
        value = self.text(name)
        if name in self.files:
            return self.files[name]
        if value.startswith("attach://"):
            attached = self.files.get(value.removeprefix("attach://"))
            if attached is None:
                raise bad_request(f"there is no file in the request for {value}")
            return attached
        if not value:
            raise bad_request(f"there is no {name} in the request")
        return value

    def shown(self) -> Json:
        """For the log of calls."""
        shown: Json = {}
        for name, value in self.values.items():
            shown[name] = value
            if isinstance(value, str) and value[:1] in {"{", "["} and name not in {"text", "caption"}:
                try:
                    shown[name] = json.loads(value)
                except ValueError:
                    continue
        return shown | {name: upload.name for name, upload in self.files.items()}


async def read_params(request: web.Request) -> Params:
    values: Json = dict(request.query)
    files: dict[str, Upload] = {}
    if request.content_type == "application/json":
        body = parse_json((await request.read()).decode("utf-8", "replace") or "{}", "request body")
        if not isinstance(body, dict):
            raise bad_request("can't parse request body: expected an Object")
        values |= body
    elif request.can_read_body:
        for name, value in (await request.post()).items():
            if isinstance(value, FileField):
                with value.file as opened:
                    files[name] = Upload(value.filename, value.content_type, opened.read())
            else:
                values[name] = value.decode() if isinstance(value, bytes | bytearray) else value
    return Params(values, files)
