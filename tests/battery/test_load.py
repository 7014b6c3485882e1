"""The load battery in small: real process, both platforms, every message acknowledged and answered."""

from tests.battery.load import run


def test_every_message_of_many_chats_is_answered() -> None:
    for row in run(quick=True).rows:
        assert row["errors"] == 0, row
