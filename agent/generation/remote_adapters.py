"""Adapters of a vLLM server at run time: POST /v1/load_lora_adapter, after which an adapter is a model's name.

Written after https://docs.vllm.ai/en/latest/features/lora/ and tested against a server that follows that page; it was
never run against a real vLLM. The server must be started with `--enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING at
True, and see the adapter's folder under the same path. It does not tell whether its base model is the adapter's.

On the server a version is called `team-2-1a2b3c4d`, after its SHA-256 too: other weights of the same name, from a
restored backup or another team's registry, are another model to it.
"""

import json
from collections.abc import MutableMapping
from pathlib import Path

import httpx

from agent.generation.adapters import CONFIG
from agent.generation.remote import CONNECT, MAX_ERROR, Server
from retrieval.errors import GeneratorError, ModelFailed, ModelFolderError
from retrieval.files import digest_of_sealed

DIGITS = 8  # of the SHA-256, in a name
LOAD = 120.0  # seconds that a server may take to load an adapter


class RemoteAdapters:
    """Loads adapters into one server. Versions never change, so a name that it lists already is taken as loaded."""

    def __init__(self, url: str, key: str | None = None, called: MutableMapping[str, str] | None = None) -> None:
        """url: the API's root, like http://localhost:8000/v1. Raises SettingsError.

        called: what the server calls each adapter, filled in before it is loaded; `RemoteGenerator.called`.
        """
        self._server = Server(url, key)
        self._called = called if called is not None else {}

    def add_adapter(self, name: str, folder: str | Path, *, seen_as: str | Path | None = None) -> None:
        """Let the server load the sealed `folder` as the model `name_on_server`, unless it lists that.

        seen_as: the folder's path on the server, where that is another. Raises ModelFolderError for what vLLM does not
        take (it takes LoRA without DoRA), GeneratorError when the server refuses.
        """
        _check_kind(name, Path(folder))
        self._called[name] = name = name_on_server(name, Path(folder))
        if name in self.names():
            return
        place = str(seen_as or folder)
        status, body = self._post("load_lora_adapter", {"lora_name": name, "lora_path": place})
        if status == httpx.codes.NOT_FOUND:
            raise ModelFailed(
                f"{self._server} loads no adapters at run time, or cannot see {place}. Start vLLM with --enable-lora "
                "and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and share that folder with it."
            )
        if status != httpx.codes.OK and name not in self.names():  # another worker may have been quicker
            raise self._server.refusal(status, body, name)

    def remove_adapter(self, name: str) -> None:
        """Nothing: other workers may still speak as `name`, and the server keeps only as many as it has room for."""

    def unload(self, name: str) -> None:
        """Take what the server calls `name` off it, for all who use it. Raises GeneratorError."""
        status, body = self._post("unload_lora_adapter", {"lora_name": name})
        if status != httpx.codes.OK and name in self.names():
            raise self._server.refusal(status, body, name)

    def names(self) -> frozenset[str]:
        """The models and adapters that the server lists. Raises GeneratorError."""
        status, body = self._request("GET", "models", None)
        if status != httpx.codes.OK:
            raise self._server.refusal(status, body, "models")
        try:
            return frozenset(str(entry["id"]) for entry in httpx.Response(200, content=body).json()["data"])
        except (ValueError, KeyError, TypeError) as error:
            raise ModelFailed(f"{self._server} does not list its models. Check remote_url.") from error

    def _post(self, path: str, body: dict[str, str]) -> tuple[int, bytes]:
        return self._request("POST", path, body)

    def _request(self, method: str, path: str, body: dict[str, str] | None) -> tuple[int, bytes]:
        options = self._server.client_options() | {"timeout": httpx.Timeout(CONNECT, read=LOAD)}
        try:
            with (
                httpx.Client(**options) as client,
                client.stream(method, self._server.path(path), json=body) as response,
            ):
                found = b""
                for chunk in response.iter_raw():
                    found += chunk
                    if len(found) > MAX_ERROR:
                        break
                return response.status_code, found[:MAX_ERROR]
        except httpx.HTTPError as error:
            failure: GeneratorError = self._server.failure(error)
            raise failure from error


def name_on_server(name: str, folder: Path) -> str:
    """What a server calls the version `name` in the sealed `folder`. Raises ModelFolderError."""
    try:
        return f"{name}-{digest_of_sealed(folder)[:DIGITS]}"
    except ValueError as error:
        raise ModelFolderError(f"{name} is not whole: {error}. Fetch or train it again.") from error


def _check_kind(name: str, folder: Path) -> None:
    try:
        fields = json.loads((folder / CONFIG).read_text())
        is_plain_lora = fields["peft_type"] == "LORA" and not fields.get("use_dora")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFolderError(
            f"{name} has no readable {CONFIG}: a whole model is not loaded beside another."
        ) from error
    if not is_plain_lora:
        raise ModelFolderError(
            f"{name} is no plain LoRA, and a vLLM server takes nothing else. Export it merged and serve that, or train "
            "with lora, rslora or adalora."
        )
