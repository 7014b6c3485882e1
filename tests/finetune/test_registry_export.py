"""A version that leaves the registry says what it said in it: merged, or as a model of a server."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from aiohttp import web
from peft import PeftModel
from sqlalchemy import Engine
from transformers import AutoModelForCausalLM, AutoTokenizer

from agent.generation.adapters import base_fingerprint, template_fingerprint
from agent.generation.generator import Limits
from agent.generation.remote import RemoteGenerator
from agent.generation.remote_adapters import RemoteAdapters
from agent.generation.rendering import messages_of, render
from agent.generation.versions import Versions
from agent.message import Place
from connectors.compose import carrier_of
from connectors.settings import Settings
from finetune import registry_export
from finetune.recipe import Method
from finetune.registry import AdapterRegistry
from finetune.registry_export import export_merged, push_vllm
from finetune.registry_watch import Watch
from retrieval.errors import ModelFailed, ModelFolderError, RegistryError
from tests.agent.models import TEMPLATE, build_adapter, build_model
from tests.agent.test_adapters import sealed as seal
from tests.agent.test_adapters import tuned
from tests.agent.test_local import prompt

pytestmark = [
    pytest.mark.parametrize("engine", ["sqlite"], indirect=True),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),  # peft 0.21 on this torch
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("export") / "base")


@pytest.fixture
def registry(engine: Engine, tmp_path: Path) -> AdapterRegistry:
    return AdapterRegistry(engine, tmp_path / "versions")


def logits(folder: Path, model: torch.nn.Module) -> torch.Tensor:
    ids = render(messages_of(prompt("How many days of leave?")), AutoTokenizer.from_pretrained(folder))
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(input_ids=torch.tensor([ids])).logits
    return found


@pytest.mark.parametrize("method", [Method.LORA, Method.RSLORA, Method.DORA, Method.IA3, Method.FULL])
def test_what_is_merged_equals_the_adapter(
    registry: AdapterRegistry, base: Path, tmp_path: Path, method: Method
) -> None:
    folder = tuned(base, tmp_path / "adapter", method, scale=0.1)
    registry.add("team", folder)
    out = export_merged(registry, "team-1", base, tmp_path / "out")
    merged = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    if method is Method.FULL:
        expected = logits(base, AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32))
    else:
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        expected = logits(base, PeftModel.from_pretrained(model, folder))
    assert float((logits(out, merged) - expected).abs().max()) < 1e-5 * max(1.0, float(expected.abs().max()))
    bare = logits(base, AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32))
    assert float((bare - expected).abs().max()) > 0.01
    assert (out / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    with pytest.raises(RegistryError, match="is not empty"):
        export_merged(registry, "team-1", base, out)


def test_what_cannot_be_merged_is_refused(
    registry: AdapterRegistry, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add("team", tuned(base, tmp_path / "pfeiffer", Method.PFEIFFER))
    with pytest.raises(RegistryError, match="not linear"):
        export_merged(registry, "team-1", base, tmp_path / "out")
    registry.add("team", tuned(base, tmp_path / "lora", Method.LORA))
    other = build_model(tmp_path / "other", seed=7)
    with pytest.raises(ModelFolderError, match="another base"):
        export_merged(registry, "team-2", other, tmp_path / "out")
    monkeypatch.setattr(registry_export, "EQUAL", 0.0)
    with pytest.raises(RegistryError, match="would say something else"):
        export_merged(registry, "team-2", base, tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Server:
    """A small server that follows vLLM's page on LoRA adapters at run time. Nothing here ever ran a real vLLM."""

    def __init__(self, *, allows: bool = True) -> None:
        self.adapters: dict[str, str] = {}
        self.allows, self.keys = allows, set[str]()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner = web.AppRunner(self._app(), access_log=None)
        self.url = self._call(self._start())

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        if self.allows:
            app.router.add_post("/v1/load_lora_adapter", self._load)
            app.router.add_post("/v1/unload_lora_adapter", self._unload)
        return app

    async def _start(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    def _call(self, work: object) -> str:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def close(self) -> None:
        self._call(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _models(self, request: web.Request) -> web.Response:
        self.keys.add(request.headers.get("Authorization", ""))
        return web.json_response({"object": "list", "data": [{"id": name} for name in ("base", *self.adapters)]})

    async def _load(self, request: web.Request) -> web.Response:
        body = await request.json()
        name, path = body["lora_name"], body["lora_path"]
        if name in self.adapters:
            return self._error(400, f"The lora adapter '{name}' has already been loaded.")
        if not (Path(path) / "adapter_config.json").exists():
            return self._error(404, f"No adapter found for {path}")
        if json.loads((Path(path) / "adapter_config.json").read_text())["r"] > 16:
            return self._error(400, "LoRA rank 64 is greater than max_lora_rank 16.")
        self.adapters[name] = path
        return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")

    async def _unload(self, request: web.Request) -> web.Response:
        name = (await request.json())["lora_name"]
        if self.adapters.pop(name, None) is None:
            return self._error(404, f"The lora adapter '{name}' cannot be found.")
        return web.Response(text=f"Success: LoRA adapter '{name}' removed successfully.")

    async def _chat(self, request: web.Request) -> web.Response:
        model = (await request.json())["model"]
        chunk = {"choices": [{"index": 0, "delta": {"content": f"I am {model}"}, "finish_reason": "stop"}]}
        return web.Response(text=f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n", content_type="text/event-stream")

    def _error(self, code: int, words: str) -> web.Response:
        return web.json_response({"error": {"message": words, "type": "Invalid", "code": code}}, status=code)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def adapter(registry: AdapterRegistry, base: Path, folder: Path, **settings: object) -> str:
    facts = {"base_sha256": base_fingerprint(base), "template_sha256": template_fingerprint(TEMPLATE), "method": "lora"}
    build_adapter(folder, base, **settings)
    return registry.add("team", seal(folder, folder.with_name(f"{folder.name}-sealed"), **facts)).name


def test_a_server_takes_a_version_by_name(
    registry: AdapterRegistry, base: Path, tmp_path: Path, server: Server
) -> None:
    version = adapter(registry, base, tmp_path / "a")
    name = f"{version}-{registry.get(version).sha256[:8]}"
    assert push_vllm(registry, version, server.url, "sk-secret") == name
    assert server.adapters == {name: str(registry.fetch(version))}
    assert server.keys == {"Bearer sk-secret"}
    push_vllm(registry, version, server.url)  # again, as another worker does
    RemoteAdapters(server.url).unload(name)
    RemoteAdapters(server.url).unload(name)
    assert server.adapters == {}
    (tmp_path / "mounted").symlink_to(registry.fetch(version))
    push_vllm(registry, version, server.url, seen_as=tmp_path / "mounted")
    assert server.adapters == {name: str(tmp_path / "mounted")}


def test_a_server_that_refuses_is_told_in_its_words(
    registry: AdapterRegistry, base: Path, tmp_path: Path, server: Server
) -> None:
    large = adapter(registry, base, tmp_path / "a", r=64)
    with pytest.raises(ModelFailed, match="max_lora_rank 16"):
        push_vllm(registry, large, server.url, "sk-secret")
    small = adapter(registry, base, tmp_path / "b", seed=2)
    with pytest.raises(ModelFailed, match="cannot see /nowhere") as refused:
        push_vllm(registry, small, server.url, "sk-secret", seen_as="/nowhere")
    assert "sk-secret" not in str(refused.value)
    closed = Server(allows=False)
    with pytest.raises(ModelFailed, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
        push_vllm(registry, small, closed.url)
    closed.close()
    with pytest.raises(ModelFailed, match="cannot be reached"):
        push_vllm(registry, small, closed.url)
    for method in (Method.DORA, Method.IA3, Method.HOULSBY, Method.FULL):
        name = registry.add("other", tuned(base, tmp_path / method.value, method)).name
        with pytest.raises(ModelFolderError, match=r"plain LoRA|whole model"):
            push_vllm(registry, name, server.url)


async def test_a_remote_generator_speaks_as_the_live_version(
    registry: AdapterRegistry, base: Path, tmp_path: Path, server: Server
) -> None:
    first, second = (adapter(registry, base, tmp_path / str(seed), seed=seed) for seed in (1, 2))
    on_server = {name: f"{name}-{registry.get(name).sha256[:8]}" for name in (first, second)}
    versions, notices = Versions(), list[str]()
    generator = RemoteGenerator(server.url, "base")
    settings = Settings(generator="remote", remote_url=server.url, remote_model="base")
    watch = Watch(registry, versions, carrier_of(settings, generator), None, notices.append)
    server.adapters[first] = "/weights/of/another/team"
    place = Place("slack", "acme", "C1")

    async def says() -> str:
        name = versions.take(place, frozenset())
        pieces = [piece.text async for piece in generator.stream(prompt(), name, Limits())]
        versions.release(name)
        return "".join(pieces)

    assert await says() == "I am base"
    for name in (first, second):
        registry.promote(name)
        await asyncio.to_thread(watch.look)
        assert await says() == f"I am {on_server[name]}"
    registry.rollback()
    await asyncio.to_thread(watch.look)
    assert await says() == f"I am {on_server[first]}"
    await generator.close()
