"""The emulators, once for a session; in front of each test a fresh house."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from connectors import compose
from retrieval.encoder import TransformerEncoder
from tests.foreign.servers import HOST, PROXIES, free_port, process, python

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
FAKE_REDIS = "import sys, fakeredis; fakeredis.TcpFakeServer(('127.0.0.1', int(sys.argv[1]))).serve_forever()"
# One workspace: two people who are in #team, and the bot that the app brings.
SEED = """
slack:
  team: {name: Acme, domain: acme}
  users: [{name: ann, real_name: Ann}, {name: bob, real_name: Bob}]
  channels: [{name: team}]
  oauth_apps:
    - {client_id: "1.2", client_secret: secret, app_id: A1, name: Atelier, bot_id: B1, bot_user_id: UBOT,
       bot_name: atelier, redirect_uris: ["http://localhost/"], scopes: ["chat:write"]}
  tokens:
    - {token: xoxb-bot, type: bot, user_id: UBOT, bot_id: B1}
    - {token: xoxp-ann, type: user, user: ann}
    - {token: xoxp-bob, type: user, user: bob}
"""


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch, encoder: TransformerEncoder) -> None:
    """No proxy between 127.0.0.1 and 127.0.0.1; the encoder is loaded once for all tests."""
    for name in [name for name in os.environ if name.upper() in PROXIES | {"SLACK_BOT_TOKEN", "SLACK_CLIENT_ID"}]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(compose, "TransformerEncoder", lambda *_, **__: encoder)


@pytest.fixture(scope="session")
def telemelya_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of telemelya, with stand-ins for the Redis and the S3 that it keeps things in."""
    folder = tmp_path_factory.mktemp("telemelya")
    redis, s3, port = free_port(), free_port(), free_port()
    with ExitStack() as stack:
        stack.enter_context(process(python("-c", FAKE_REDIS, str(redis)), redis, folder))
        stack.enter_context(process(python("-m", "moto.server", "-H", HOST, "-p", str(s3)), s3, folder))
        settings = {
            "MOCK_SERVER_HOST": HOST,
            "MOCK_SERVER_PORT": str(port),
            "REDIS_URL": f"redis://{HOST}:{redis}/0",
            "MINIO_ENDPOINT": f"{HOST}:{s3}",
            "STRICT_EDIT": "true",  # an edit of what is not there fails, as Telegram's does
        }
        stack.enter_context(process(python("-m", "telemelya.server.app"), port, folder, settings))
        yield f"http://{HOST}:{port}"


@pytest.fixture(scope="session")
def emulate_ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The port on which emulate listens, and the one under which it says that it is found: the go-between's."""
    node, emulate = MODULES / ".bin" / "node", MODULES / "emulate" / "dist" / "index.js"
    if not (node.exists() and emulate.exists()):
        reason = (
            "emulate is not installed (npm ci --prefix tests/foreign), so Slack was tried on our own emulator only."
        )
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    folder = tmp_path_factory.mktemp("emulate")
    (folder / "seed.yaml").write_text(SEED)
    port, front = free_port(), free_port()
    command = [str(node), str(emulate), "start", "--service", "slack", "--seed", "seed.yaml", "--port", str(port)]
    with process([*command, "--base-url", f"http://{HOST}:{front}"], port, folder):
        yield port, front
