"""How the knowledge grows, joined: gaps, proposed answers, the week in figures, sources that are read again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.buttons import Buttons
from agent.ideation.vectors import IdeaVectors
from agent.support.cases import Cases
from agent.support.curated import Curated
from agent.support.proposals import KIND
from connectors.compose import House
from connectors.connector import Connector
from connectors.desk.access import Access
from connectors.desk.digest import DigestOrders
from connectors.desk.faq import Faq
from connectors.desk.faq_cards import Cards
from connectors.desk.faq_mining import Mining
from connectors.desk.gaps import GapOrders, tidied
from connectors.desk.orders import Order, Pressed
from connectors.desk.roles import Guard, Roles
from connectors.desk.telling import Telling
from connectors.settings import Settings
from connectors.sources_schedule import DIGEST, SOURCES, Follow, Schedule


@dataclass(frozen=True, slots=True)
class Growth:
    """What the desk takes over of it: commands, what buttons do, what timers do, by their names."""

    orders: Mapping[str, Order]
    presses: Mapping[str, Pressed]
    followers: Mapping[str, Follow]

    @classmethod
    def over(
        cls,
        settings: Callable[[], Settings],
        house: House,
        connectors: Mapping[str, Connector],
        access: Access,
        buttons: Buttons,
        guard: Guard,
        roles: Roles,
    ) -> "Growth":
        """settings: as they are now."""
        store, encode = house.store, IdeaVectors(house.encoder).texts
        gaps = GapOrders(store, encode, access, roles, guard, connectors)
        digest = DigestOrders(store, encode, connectors)
        language, tenant = store.settings.support.language, store.settings.tenant
        curated, tidy = Curated(store.engine, house.encoder), tidied()
        cards = Cards(tenant, language, store.memory, Cases(store.engine), curated, buttons, connectors, tidy)
        mining = Mining(tenant, store.memory, curated, connectors, tidy)
        faq = Faq(cards, mining, roles, guard, access)
        telling = Telling(tenant, lambda: settings().administrators, connectors)
        schedule = Schedule(house, settings, telling, digest.weekly, buttons)
        orders = {
            "gaps": Order(gaps.gaps, "help_gaps"),
            "faq": Order(faq.order, "help_faq"),
            "digest": Order(digest.order, "help_digest", is_for_administrators=True),
        }
        return cls(
            orders,
            {KIND: faq.press, SOURCES: schedule.press},
            {KIND: faq.follow, SOURCES: schedule.follow, DIGEST: schedule.follow},
        )
