"""Telegram's MarkdownV2. https://core.telegram.org/bots/api#markdownv2-style"""

from tests.emulators.telegram_values import Json, bad_request

RESERVED = "_*[]()~`>#+-=|{}.!"
_MARKS = {"__": "underline", "||": "spoiler", "*": "bold", "_": "italic", "~": "strikethrough"}  # longest first
_QUOTES = {"blockquote", "expandable_blockquote"}


def parse_markdown(source: str) -> tuple[str, list[Json]]:
    """Text and entities. Raises ApiError on a reserved character that is not escaped and on an entity without end."""
    reader = _Reader(source)
    while reader.at < len(source):
        reader.step()
    return reader.finish()


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.text: list[str] = []
        self.units = 0
        self.open: list[Json] = []
        self.entities: list[Json] = []

    def step(self) -> None:
        """Read one mark or one character."""
        source, at = self.source, self.at
        character = source[at]
        inside = self.open[-1]["type"] if self.open else ""
        if character == "\\" and at + 1 < len(source) and 0 < ord(source[at + 1]) <= 126:
            self.put(source[at + 1], 2)
        elif inside in {"code", "pre"}:
            mark = "`" if inside == "code" else "```"
            if source.startswith(mark, at):
                self.close(mark)
            elif character == "`":
                raise self.reserved("`")
            else:
                self.put(character)
        elif character == "\n":
            self.newline(inside)
        elif self.line_start() and source.startswith((">", "**>"), at):
            self.quote()
        elif source.startswith("```", at):
            self.begin("pre", "```")
            self.language()
        elif character == "`":
            self.begin("code", "`")
        elif inside == "blockquote" and source.startswith("||", at) and source[at + 2 : at + 3] in {"", "\n"}:
            self.open[-1]["type"] = "expandable_blockquote"
            self.at += 2
        elif mark := next((mark for mark in _MARKS if source.startswith(mark, at)), ""):
            if inside == _MARKS[mark]:
                self.close(mark)
            else:
                self.begin(_MARKS[mark], mark)
        elif character == "[" or source.startswith("![", at):
            kind = "text_link" if character == "[" else "custom_emoji"
            self.begin(kind, "[" if kind == "text_link" else "![")
        elif character == "]" and inside in {"text_link", "custom_emoji"}:
            self.link(inside)
        elif character in RESERVED:
            raise self.reserved(character)
        else:
            self.put(character)

    def put(self, character: str, width: int = 1) -> None:
        self.text.append(character)
        self.units += 2 if character > "\uffff" else 1
        self.at += width

    def begin(self, kind: str, mark: str) -> None:
        self.open.append({"type": kind, "offset": self.units, "from": len(self.source[: self.at].encode())})
        self.at += len(mark)

    def close(self, mark: str, **more: str) -> None:
        entity = {**self.open.pop(), **more}
        del entity["from"]
        entity["length"] = self.units - entity["offset"]
        self.at += len(mark)
        if entity["length"]:
            self.entities.append(entity)

    def line_start(self) -> bool:
        return self.at == 0 or self.source[self.at - 1] == "\n"

    def quote(self) -> None:
        mark = ">" if self.source[self.at] == ">" else "**>"
        self.begin("blockquote", mark)

    def newline(self, inside: str) -> None:
        self.put("\n")
        if not any(entity["type"] in _QUOTES for entity in self.open):
            return
        if self.source.startswith(">", self.at) and inside != "expandable_blockquote":
            self.at += 1  # the quotation goes on
        elif inside in _QUOTES:
            self.close("")
        else:
            raise self.endless()

    def language(self) -> None:
        """The word after ``` up to the line's end names the language."""
        line, newline, _ = self.source[self.at :].partition("\n")
        if newline and line and "`" not in line and " " not in line:
            self.open[-1]["language"] = line
            self.at += len(line)
        self.at += self.source.startswith("\n", self.at)

    def link(self, kind: str) -> None:
        end = self.at + 2
        while end < len(self.source) and self.source[end] != ")":
            end += 1 + (self.source[end] == "\\")
        if not self.source.startswith("](", self.at) or end >= len(self.source):
            if kind == "custom_emoji":
                raise bad_request("can't parse entities: Custom emoji entity must contain a tg://emoji URL")
            self.close("]", type="link without address")
            self.entities = [entity for entity in self.entities if entity["type"] != "link without address"]
            return
        address = self.source[self.at + 2 : end].replace("\\", "")
        key = "url" if kind == "text_link" else "custom_emoji_id"
        self.close(self.source[self.at : end + 1], **{key: address.removeprefix("tg://emoji?id=")})

    def reserved(self, character: str) -> Exception:
        return bad_request(
            f"can't parse entities: Character '{character}' is reserved and must be escaped with the preceding '\\'"
        )

    def endless(self) -> Exception:
        name = {"text_link": "TextUrl", "pre": "Pre", "code": "Code"}.get(self.open[-1]["type"], "")
        name = name or self.open[-1]["type"].title().replace("_", "")
        return bad_request(
            f"can't parse entities: Can't find end of {name} entity at byte offset {self.open[-1]['from']}"
        )

    def finish(self) -> tuple[str, list[Json]]:
        while self.open and self.open[-1]["type"] in _QUOTES:
            self.close("")
        if self.open:
            raise self.endless()
        return "".join(self.text), self.entities
