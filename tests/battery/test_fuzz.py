"""The fuzz battery in small, from payloads as the platforms send them: nothing crashes, nothing is stuck."""

import pytest

from tests.battery.fuzz import poison, replays, storm, strangers
from tests.battery.town import town


@pytest.mark.parametrize("platform", ["slack", "telegram"])
async def test_what_comes_from_outside_breaks_nothing(platform: str) -> None:
    async with town(20) as made:
        row = await strangers(made, platform)
        assert row["401 or 403"] == row["sent"]
        assert row["reached the core"] == 0
        assert (await replays(made, platform))["extra replies"] == 0
        row = await poison(made, platform)
        assert (row["answered"], row["dead letters"], row["stuck"]) == (99, 1, 0)
        row = await storm(made, platform, 300)
        assert row["200"] + row["400"] == 300
        assert row["reached the core"] > 60
        assert (row["crashes"], row["stuck"]) == (0, 0), made.failures
