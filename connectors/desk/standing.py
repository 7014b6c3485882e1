"""What a person and a place may read at this moment: the settings, and who is in which channel on the platform now."""

from dataclasses import replace

from agent.events import Post
from agent.message import Place
from connectors.connector import Connector
from connectors.desk.access import Access


async def standing(post: Post, access: Access, connector: Connector) -> tuple[frozenset[str], frozenset[str]]:
    """The audiences of the author, and those of everyone in the place.

    What a channel may read goes with its members: into their direct messages, and into places where nobody else reads.
    The platform is asked each time, so who leaves a channel has lost its documents by the next question.
    """
    is_direct, is_shared = post.direct, post.is_shared
    mine: list[str] = []
    common: list[str] = []
    if not is_shared and post.account.split(":", 2)[1] == post.place.tenant:
        for channel in access.channels(post.place.platform):
            there = replace(post.place, channel=channel, thread="")
            if channel != post.place.channel and await connector.belongs(post.account, there):
                mine.append(channel)
                if not is_direct and await _is_within(post.place, there, connector):
                    common.append(channel)
    return access.readers(
        post.account, post.place, is_direct=is_direct, is_shared=is_shared, of_person=mine, of_all=common
    )


async def _is_within(place: Place, other: Place, connector: Connector) -> bool:
    """Whether everybody who reads in `place` reads in `other` too."""
    here = await connector.members(place)
    return bool(here) and here <= await connector.members(other)
