"""Versions never change, aliases move in one step, and a file that is not what was registered is never handed out."""

import random
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from finetune.registry import FETCHED, KEPT, AdapterRegistry, Learned
from finetune.registry_files import PIECE
from finetune.registry_tables import pieces, versions
from retrieval.database import open_database, reading, writing
from retrieval.errors import RegistryError
from retrieval.files import read_manifest, write_folder_atomically
from tests.finetune.adapters import sealed

only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def registry(engine: Engine, tmp_path: Path) -> AdapterRegistry:
    return AdapterRegistry(engine, tmp_path / "versions")


def names(registry: AdapterRegistry) -> tuple[str | None, ...]:
    now = registry.aliases()
    return tuple(None if each is None else each.name for each in (now.live, now.previous, now.candidate))


def test_a_version_is_found_again_with_all_that_is_known_of_it(registry: AdapterRegistry, tmp_path: Path) -> None:
    learned = Learned(frozenset({"p1"}), frozenset({"hr/pay.md"}), frozenset({"acme/HR", "acme/everyone"}))
    made = registry.add("team", sealed(tmp_path / "a"), scores={"loss": 1.5}, learned_from=learned, job="j1")
    assert made.name == "team-1"
    assert registry.get("team-1") == made == registry.versions()[0]
    assert (made.method, made.base_fingerprint, made.template_fingerprint) == ("lora", "b" * 64, "t" * 64)
    assert made.learned_from.audiences == {"acme/hr", "acme/everyone"}
    assert set(made.files) == {"adapter_config.json", "adapter_model.safetensors", "manifest.json"}
    assert registry.add("team", sealed(tmp_path / "b", b"other")).name == "team-2"
    assert registry.add("sales", sealed(tmp_path / "c", b"third")).name == "sales-1"


def test_the_same_job_adds_once_however_often_it_is_killed(registry: AdapterRegistry, tmp_path: Path) -> None:
    folder = sealed(tmp_path / "a")
    first = registry.add("team", folder, job="j1")
    assert registry.add("team", folder, job="j1") == first
    assert registry.add("team", folder, job="j2").name == "team-2"
    assert [each.name for each in registry.versions()] == ["team-1", "team-2"]


def test_another_machine_gets_the_files_from_the_store(
    registry: AdapterRegistry, engine: Engine, tmp_path: Path
) -> None:
    content = random.Random(1).randbytes(3 * PIECE + 17)
    made = registry.add("team", sealed(tmp_path / "a", content))
    there = AdapterRegistry(engine, tmp_path / "elsewhere")
    folder = there.fetch("team-1")
    assert folder.is_relative_to(tmp_path / "elsewhere")
    assert (folder / "adapter_model.safetensors").read_bytes() == content
    assert read_manifest(folder)["method"] == "lora"
    assert there.fetch(made) == folder
    with reading(engine) as connection:
        longest = connection.execute(sa.select(sa.func.max(sa.func.length(pieces.c.content)))).scalar_one()
    assert longest == PIECE


def test_equal_files_are_kept_once(registry: AdapterRegistry, engine: Engine, tmp_path: Path) -> None:
    registry.add("team", sealed(tmp_path / "a", b"x" * 1000))
    registry.add("other", sealed(tmp_path / "b", b"x" * 1000))
    with reading(engine) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(pieces)).scalar_one() == 3
    registry.remove("team-1")
    assert registry.fetch("other-1").is_dir()
    registry.remove("other-1")
    with reading(engine) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(pieces)).scalar_one() == 0


@only_sqlite
@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "manifest.json"])
@pytest.mark.parametrize("way", ["change", "cut", "link", "unlink", "add"])
def test_a_copy_that_was_tampered_with_is_fetched_anew(
    registry: AdapterRegistry, tmp_path: Path, name: str, way: str
) -> None:
    registry.add("team", sealed(tmp_path / "a", b"w" * 1000))
    path = registry.fetch("team-1") / name
    good = path.read_bytes()
    if way == "change":
        path.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    elif way == "cut":
        path.write_bytes(good[:-1])
    elif way == "add":
        (path.parent / "more.bin").write_bytes(b"pickle")
    else:
        path.unlink()
    if way == "link":
        (tmp_path / "outside").write_bytes(good)
        path.symlink_to(tmp_path / "outside")
    folder = registry.fetch("team-1")
    assert (folder / name).read_bytes() == good
    assert not (folder / name).is_symlink()
    assert len(list(folder.iterdir())) == 3


def test_a_store_that_was_tampered_with_hands_out_nothing(
    registry: AdapterRegistry, engine: Engine, tmp_path: Path
) -> None:
    made = registry.add("team", sealed(tmp_path / "a", b"w" * 1000))
    which = pieces.c.sha256 == made.files["adapter_model.safetensors"]["sha256"]
    for content in (b"v" * 1000, b"w" * 999, b"", b"w" * 2000):
        with writing(engine) as connection:
            connection.execute(pieces.update().where(which).values(content=content))
        with pytest.raises(RegistryError, match=r"damaged .adapter_model\.safetensors"):
            registry.fetch("team-1")
    with writing(engine) as connection:
        connection.execute(pieces.delete().where(which))
    with pytest.raises(RegistryError, match="damaged"):
        registry.fetch("team-1")
    assert not list((tmp_path / "versions" / FETCHED).glob("*"))
    with writing(engine) as connection:
        files = {"../../evil": made.files["manifest.json"]}
        connection.execute(versions.update().values(files=files))
    with pytest.raises(RegistryError, match="evil"):
        registry.fetch("team-1")


@only_sqlite
def test_many_workers_fetch_into_one_folder_at_once(registry: AdapterRegistry, engine: Engine, tmp_path: Path) -> None:
    registry.add("team", sealed(tmp_path / "a", b"w" * 100_000))
    found: list[Path] = []
    workers = [threading.Thread(target=lambda: found.append(registry.fetch("team-1"))) for _ in range(6)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / "versions" / FETCHED).iterdir()] == [found[0].name]


@only_sqlite
def test_what_the_store_cannot_hold_stays_on_its_machine_and_says_so(engine: Engine, tmp_path: Path) -> None:
    here = AdapterRegistry(engine, tmp_path / "here", most_stored=1000)
    folder = sealed(tmp_path / "a", b"w" * 2000, method="full")
    made = here.add("team", folder)
    assert made.machine
    assert here.fetch("team-1").is_relative_to(tmp_path / "here" / KEPT)
    there = AdapterRegistry(engine, tmp_path / "there")
    with pytest.raises(RegistryError, match=f"lies on {made.machine}. Copy the folder") as refused:
        there.fetch("team-1")
    place = Path(str(refused.value).rsplit(" to ", 1)[1].rstrip("."))
    place.parent.mkdir(parents=True)
    (here.fetch("team-1")).rename(place)  # as an administrator would carry it over
    assert there.fetch("team-1") == place


def test_promote_and_roll_back(registry: AdapterRegistry, tmp_path: Path) -> None:
    for number in range(3):
        registry.add("team", sealed(tmp_path / str(number), bytes([number])))
    assert names(registry) == (None, None, None)
    with pytest.raises(RegistryError, match="nothing to roll back"):
        registry.rollback()
    registry.promote("team-1")
    registry.set_candidate("team-2", share=0.25, channels=["C1"])
    now = registry.aliases()
    assert (names(registry), now.share, now.channels) == (("team-1", None, "team-2"), 0.25, {"C1"})
    registry.promote("team-2")
    assert names(registry) == ("team-2", "team-1", None)
    registry.promote("team-2")
    assert names(registry) == ("team-2", "team-1", None), "promoting the live one changes nothing"
    registry.set_candidate("team-3")
    registry.rollback()
    assert names(registry) == ("team-1", None, None)
    registry.rollback()
    assert names(registry) == (None, None, None)
    registry.set_candidate("team-3")
    registry.withdraw()
    assert names(registry) == (None, None, None)


@only_sqlite
def test_a_flagged_version_is_not_promoted_or_gone_back_to_unless_told(
    registry: AdapterRegistry, tmp_path: Path
) -> None:
    for number in range(2):
        registry.add("team", sealed(tmp_path / str(number), bytes([number])))
    registry.promote("team-1")
    registry.promote("team-2")
    registry.flag("team-1", "Somebody whose words it learned from was forgotten.")
    with pytest.raises(RegistryError, match="team-1 is flagged: Somebody"):
        registry.promote("team-1")
    registry.rollback()
    assert names(registry) == (None, None, None)
    registry.promote("team-1", despite_flag=True)
    assert names(registry)[0] == "team-1"
    assert registry.flag("team-1", "").flagged == ""


@only_sqlite
def test_what_serves_is_not_removed_and_a_name_is_never_given_twice(registry: AdapterRegistry, tmp_path: Path) -> None:
    for number in range(3):
        registry.add("team", sealed(tmp_path / str(number), bytes([number])))
    registry.promote("team-1")
    registry.promote("team-2")
    registry.set_candidate("team-3")
    for name in ("team-2", "team-3"):
        with pytest.raises(RegistryError, match="Promote another or roll back"):
            registry.remove(name)
    registry.remove("team-1")
    assert names(registry) == ("team-2", None, "team-3")
    with pytest.raises(RegistryError, match="was removed on"):
        registry.get("team-1")
    with pytest.raises(RegistryError, match=r"There is no version team-9\. The nearest names are team-"):
        registry.get("team-9")
    registry.withdraw()
    registry.remove("team-3")
    assert registry.add("team", sealed(tmp_path / "new")).name == "team-4"


@only_sqlite
def test_heads_have_aliases_of_their_own(registry: AdapterRegistry, tmp_path: Path) -> None:
    write_folder_atomically(tmp_path / "heads", lambda fresh: (fresh / "intent.json").touch(), {"encoder": "mini@1"})
    made = registry.add("mood", tmp_path / "heads", kind="heads")
    registry.add("team", sealed(tmp_path / "a"))
    registry.promote("team-1")
    registry.promote("mood-1")
    assert made.base_fingerprint == "mini@1"
    assert registry.aliases("heads").live == made
    assert names(registry)[0] == "team-1"
    assert registry.rollback("heads").live is None
    assert [each.name for each in registry.versions("heads")] == ["mood-1"]
    with pytest.raises(RegistryError, match="as a whole"):
        registry.set_candidate("mood-1")


@only_sqlite
@pytest.mark.parametrize("family", ["", "a.b", "a/b", "x" * 49, "-a", "größe"])
def test_a_name_that_could_not_be_served_is_refused(registry: AdapterRegistry, tmp_path: Path, family: str) -> None:
    with pytest.raises(RegistryError, match="cannot be called"):
        registry.add(family, sealed(tmp_path / "a"))


@only_sqlite
def test_a_folder_that_is_not_what_was_trained_is_refused(registry: AdapterRegistry, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(RegistryError, match="no readable manifest"):
        registry.add("team", tmp_path / "bare")
    changed = sealed(tmp_path / "changed")
    (changed / "adapter_model.safetensors").write_bytes(b"weightz")
    with pytest.raises(RegistryError, match="differs from its manifest"):
        registry.add("team", changed)
    for fact in ("base", "template", "method"):
        with pytest.raises(RegistryError, match="does not say what it was trained on"):
            registry.add("team", sealed(tmp_path / fact, **{fact: ""}))
    with pytest.raises(RegistryError, match="encoder"):
        registry.add("mood", sealed(tmp_path / "heads"), kind="heads")
    assert registry.versions() == ()


@only_sqlite
@pytest.mark.parametrize("share", [-0.1, 1.1, 0.0])
def test_a_trial_that_makes_no_sense_is_refused(registry: AdapterRegistry, tmp_path: Path, share: float) -> None:
    registry.add("team", sealed(tmp_path / "a"))
    with pytest.raises(RegistryError, match="share of conversations"):
        registry.set_candidate("team-1", share=share)
    registry.promote("team-1")
    with pytest.raises(RegistryError, match="live already"):
        registry.set_candidate("team-1")


def test_many_who_add_and_promote_at_once_leave_one_order(engine: Engine, tmp_path: Path) -> None:
    """Each on a connection of its own, as workers on several machines are."""
    folders = [sealed(tmp_path / str(number), bytes([number])) for number in range(6)]
    url = engine.url.render_as_string(hide_password=False)
    failed: list[BaseException] = []

    def work(folder: Path) -> None:
        own = open_database(url)
        try:
            registry = AdapterRegistry(own, tmp_path / "versions")
            registry.promote(registry.add("team", folder).name)
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)
        finally:
            own.dispose()

    workers = [threading.Thread(target=work, args=(folder,)) for folder in folders]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert failed == []
    registry = AdapterRegistry(engine, tmp_path / "versions")
    assert sorted(each.name for each in registry.versions()) == [f"team-{n}" for n in range(1, 7)]
    live, previous, _ = names(registry)
    assert live != previous
    assert {live, previous} <= {f"team-{n}" for n in range(1, 7)}
