"""The setting `sources`, whom it lets be called, and `atelier sources`, `gaps` and `digest` at the terminal."""

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.resolver import ThreadedResolver
from PIL import Image

from connectors.cli import main
from connectors.settings import Settings, load_settings
from connectors.sources import allowed
from connectors.sources_schedule import told
from connectors.sources_settings import Sources
from retrieval.addresses import is_public
from retrieval.errors import SettingsError, UnreadableFile
from retrieval.watched import Look
from retrieval.web import Web
from tests.retrieval.pages import served


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [*(f"ATELIER_{field.upper()}" for field in Settings.model_fields), "ATELIER_SETTINGS"]:
        monkeypatch.delenv(name, raising=False)


def written(text: str) -> Settings:
    Path("atelier.toml").write_text(f'home = "home"\ngenerator = "extractive"\n{text}')
    return load_settings()


def test_paths_are_relative_to_the_file_and_audiences_stand_before(tmp_path: Path) -> None:
    listed = written('[sources]\nread = ["handbook", "hr=pay", "https://a.example/x?y=z", "hr=https://a.example"]')
    assert [(each.address, each.audience) for each in listed.sources.read] == [
        (str(tmp_path / "handbook"), None),
        (str(tmp_path / "pay"), "hr"),
        ("https://a.example/x?y=z", None),
        ("https://a.example", "hr"),
    ]
    assert written("").sources == Sources()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("reed = []", "There is no 'reed' in sources"),
        ('read = "x"', "is a list of texts"),
        ("every = -1", "whole number from 0"),
        ("every = true", "whole number from 0"),
    ],
)
def test_a_mistake_is_named(text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match='setting "sources"') as caught:
        written(f"[sources]\n{text}\n")
    assert reason in str(caught.value)


def test_a_server_of_one_s_own_is_named_and_what_is_this_machine_s_never_called() -> None:
    allows = allowed(Sources(private_hosts=("wiki.corp", "127.0.0.1", "169.254.169.254", "meta.corp")))
    assert allows("example.com", "93.184.215.14")
    assert allows("wiki.corp", "10.1.2.3")
    assert allows("WIKI.corp.", "fd00::1")
    assert not allows("other.corp", "10.1.2.3")
    assert allows("wiki.corp", "64:ff9b::a01:203")  # 10.1.2.3 behind NAT64
    assert not allows("127.1", "127.1")


OWN = ("127.0.0.1", "169.254.169.254", "168.63.129.16", "100.100.100.200", "0.0.0.0")


@pytest.mark.parametrize("address", [*OWN, "::1", "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "::"])
def test_no_setting_opens_what_is_this_machine_s_or_a_cloud_s_in_whatever_notation(address: str) -> None:
    allows = allowed(Sources(private_hosts=("wiki.corp", *OWN, "::1")))
    notations = [address]
    if address in OWN:
        inner = ipaddress.IPv4Address(address)
        high, low = f"{inner.packed.hex()[:4]}", f"{inner.packed.hex()[4:]}"
        notations += [f"::ffff:{inner}", f"::{inner}" if int(inner) else "::", f"64:ff9b::{high}:{low}"]
        notations += [f"64:ff9b:1::{high}:{low}", f"2002:{high}:{low}::1", f"fd00::5efe:{high}:{low}"]
        notations.append(f"2001:0:{high}:{low}::")
    for each in notations:
        assert not allows("wiki.corp", each), each
        assert not allows(address, each), each
        assert not is_public(each), each


def test_a_folder_at_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "hours.md").write_text("The office opens at nine.")
    written('[sources]\nread = ["handbook"]')
    assert main(["sources"]) == 0
    assert "not read yet" in capsys.readouterr().out
    assert main(["sources", "read"]) == 0
    assert "1 new" in capsys.readouterr().out
    assert main(["sources", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["state"].startswith("looked at")
    written("")
    assert main(["sources", "read", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["removed"], row["left"]) == ([], ["handbook/hours.md"])
    assert main(["sources", "drop"]) == 0
    assert "1 document would go (handbook/hours.md)" in capsys.readouterr().out
    assert main(["sources", "drop", "elsewhere"]) == 1
    assert main(["sources", "drop", str(tmp_path / "handbook")]) == 0
    assert "1 gone" in capsys.readouterr().out


def test_a_password_in_an_address_is_told_to_nobody_and_not_kept_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    address = "https://me:hunter2@host/faq"
    written(f'[sources]\nread = ["{address}"]')
    assert main(["sources", "read"]) == 1
    read = capsys.readouterr().out
    assert "would be sent in the clear" in read
    assert main(["sources"]) == 0
    listed = capsys.readouterr().out
    assert listed.count("host/faq") == 1
    assert main(["audit"]) == 0
    for said in (read, listed, capsys.readouterr().out, told([Look(address, is_off=True)], "en")):
        assert "host/faq" in said
        assert "hunter2" not in said


def test_reports_of_a_store_where_nothing_was_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written("")
    assert main(["gaps"]) == 0
    assert main(["gaps", "--json"]) == 0
    assert main(["digest", "--out", "week.png"]) == 0
    said = capsys.readouterr().out
    assert "nothing was left without a good answer" in said
    assert "Nothing was asked" in said
    with Image.open(tmp_path / "week.png") as picture:
        assert picture.width == 1200


async def test_a_named_server_leads_to_no_cloud_s_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by a redirect, and not by its name where that comes to stand for another address."""
    look_up = ThreadedResolver.resolve

    async def rebound(self: ThreadedResolver, host: str, port: int = 0, family: Any = 0) -> Any:
        found = {"hostname": host, "host": "64:ff9b::a9fe:a9fe", "port": port, "family": family, "proto": 0, "flags": 0}
        return [found] if host == "wiki.corp" else await look_up(self, host, port, family)

    monkeypatch.setattr(ThreadedResolver, "resolve", rebound)
    named = allowed(Sources(private_hosts=("wiki.corp", "169.254.169.254")))
    async with served() as site, Web(lambda host, at: at == "127.0.0.1" or named(host, at)) as reader:
        for number, host in enumerate(("169.254.169.254", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "wiki.corp")):
            site.pages[f"/{number}"] = web.Response(status=302, headers={"Location": f"http://{host}/latest"})
            with pytest.raises(UnreadableFile, match="inside this machine or network"):
                await reader.read(f"{site.base}/{number}")
