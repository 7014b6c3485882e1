"""`atelier serve`: the doors open. Joins the connectors, the desk and the delivery queue over one house."""

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress

from aiohttp import web
from sqlalchemy import Engine

from agent.buttons import Buttons
from agent.channels import ChannelRules
from agent.events import Due, Outgoing
from agent.support.audit import Audit
from agent.support.cases import Cases
from agent.support.curated import Curated
from connectors.compose import House, Notice
from connectors.connector import Connector, ConnectorError, Refused
from connectors.delivery.stage import Pace, Stage
from connectors.delivery.worker import Delivery
from connectors.desk import support as handing_over
from connectors.desk.access import Access, Limiter, short
from connectors.desk.changes import Changes
from connectors.desk.copying import Copying
from connectors.desk.curated import CuratedOrders
from connectors.desk.desk import Desk
from connectors.desk.finetune import KIND, FinetuneOrders
from connectors.desk.ideation import Ideation
from connectors.desk.ideation_stand import KIND as IDEATION
from connectors.desk.labelling import KIND as LABEL
from connectors.desk.labelling import LabelOrders
from connectors.desk.names import Names
from connectors.desk.opinion import KIND as OPINION
from connectors.desk.opinion import OpinionDesk
from connectors.desk.orders import Order, Orders
from connectors.desk.roles import Guard, Roles
from connectors.desk.support import Handover
from connectors.desk.support_orders import SupportOrders
from connectors.growth import Growth
from connectors.health import Health
from connectors.receiving import receive
from connectors.settings import Settings
from connectors.sources_schedule import SOURCES, begin
from connectors.tuning import Tuning
from finetune.few_shot_labels import Labels
from retrieval.errors import SettingsError

log = logging.getLogger(__name__)

FLOOD = 5  # times as many messages of a person as are answered in a minute: from then on they are refused at the door
THREADS = 32  # most of them wait for the disk together: asyncio's own few would wait for each other


def make_connectors(settings: Settings, engine: Engine) -> dict[str, Connector]:
    """The doors that the settings name. Raises SettingsError when they name none."""
    made: list[Connector] = []
    if settings.slack_bot_token.get_secret_value() or settings.slack_client_id:
        from connectors.slack.connector import SlackConnector
        from connectors.slack.oauth import OAuth

        oauth = None
        if settings.slack_client_id:
            secret = settings.slack_client_secret.get_secret_value()
            oauth = OAuth(settings.slack_client_id, secret, engine, settings.public_url)
        made.append(
            SlackConnector(
                settings.tenant,
                bot_token=settings.slack_bot_token.get_secret_value(),
                app_token=settings.slack_app_token.get_secret_value(),
                signing_secret=settings.slack_signing_secret.get_secret_value(),
                oauth=oauth,
                tenants=dict(each.partition("=")[::2] for each in settings.slack_workspaces),
                api=settings.slack_api,
            )
        )
    if settings.telegram_token.get_secret_value():
        from connectors.telegram.connector import TelegramConnector

        made.append(
            TelegramConnector(
                settings.telegram_token.get_secret_value(),
                settings.tenant,
                api=settings.telegram_api,
                webhook_url=settings.telegram_webhook,
                webhook_secret=settings.telegram_secret.get_secret_value(),
                drafts=settings.telegram_previews == "drafts",
            )
        )
    if not made:
        raise SettingsError(
            "No door is configured. Set slack_bot_token and slack_app_token, or telegram_token (README, “Slack” and "
            "“Telegram”), and start again; `atelier chat` needs neither."
        )
    return {each.name: each for each in made}


def make_delivery(
    settings: Settings,
    house: House,
    connectors: Mapping[str, Connector],
    reload: Callable[[], Settings] | None = None,
) -> Delivery:
    """The queue with the desk behind it. Raises SettingsError.

    reload: reads the settings anew: who is no administrator any more cannot wait for a restart.
    """
    engine = house.store.engine
    rules, buttons = ChannelRules(engine), Buttons(engine)
    desks = tuple(desk.to for desk in settings.support.desks) if settings.allowed else ()
    access = Access.of(settings.administrators, (*settings.allowed, *desks), settings.members)

    def is_administrator(account: str) -> bool:
        try:
            return short(account) in (reload or (lambda: settings))().administrators
        except SettingsError as error:
            log.warning("Nobody is an administrator while the settings cannot be read: %s", error)
            return False

    tuning = FinetuneOrders(Tuning.of(settings, engine), buttons, is_administrator)
    roles, audit = Roles(reload or (lambda: settings), connectors), Audit(engine)
    memory, cases = house.store.memory, Cases(engine)
    for each in settings.support.desks:
        if each.platform not in connectors:
            raise SettingsError(f"The desk {each.to} in [support] is on {each.platform}, which is not set up here.")
    handover = Handover(settings.support, settings.tenant, memory, cases, buttons, connectors, roles, Names(connectors))
    guard = Guard(roles, audit)
    support = SupportOrders(handover, access, guard)
    curated = CuratedOrders(Curated(engine), memory, settings.tenant)
    ideation = Ideation.over(house, connectors, access, buttons)
    opinion = OpinionDesk.over(house, connectors)
    labelling = LabelOrders(house, Labels(engine, settings.tenant), buttons, access, connectors)
    growth = Growth.over(reload or (lambda: settings), house, connectors, access, buttons, guard, roles)
    more = {
        "human": Order(support.human, "help_human"),
        "cases": Order(support.cases, "help_cases"),
        "case": Order(support.case),
        "curated": Order(curated.order, "help_curated", is_for_administrators=True),
        "idea": Order(ideation.order, "help_idea"),
        "export": Order(Copying(memory, settings.home).order),
        "finetune": Order(tuning.order, "help_finetune", is_for_administrators=True),
        "label": Order(labelling.order, "help_label", is_for_administrators=True),
        "watch": Order(opinion.watch, "help_watch", is_for_administrators=True),
        "mood": Order(opinion.mood, is_for_administrators=True),
        **growth.orders,
    }
    presses = {KIND: tuning.press, handing_over.KIND: support.press, IDEATION: ideation.press, **growth.presses}
    presses[LABEL] = labelling.press
    orders = Orders(house, connectors, access, rules, buttons, guard, more, presses, frozenset({KIND, LABEL, SOURCES}))
    followers = {KIND: tuning.follow, handing_over.KIND: support.follow, IDEATION: ideation.due, **growth.followers}
    followers[OPINION] = opinion.follow

    async def follow(due: Due, stage: Stage) -> Sequence[Outgoing]:
        return await followers[due.what](due, stage)

    changes = Changes(house.store.memory, house.store.shelf, access, rules, buttons, settings.home)
    people, channels = Limiter(settings.messages_per_minute), Limiter(settings.channel_messages_per_minute)
    desk = Desk(
        house,
        connectors,
        access,
        people,
        channels,
        rules,
        buttons,
        orders,
        changes,
        follow,
        handover,
        ideation,
        opinion,
    )
    flood = FLOOD * settings.messages_per_minute
    pace = Pace(slots=settings.answers_at_once, backlog=settings.backlog, flood=flood)
    return Delivery(engine, connectors, desk, desk.apology, pace)


async def serve(
    settings: Settings,
    open_house: Callable[[], House],
    notice: Notice,
    reload: Callable[[], Settings] | None = None,
) -> None:
    """Serve until the process is asked to end (SIGTERM, SIGINT). Raises AtelierError when it cannot begin."""
    ending = asyncio.Event()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="desk"))
    for each in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows has no signal handlers in its loop
            asyncio.get_running_loop().add_signal_handler(each, ending.set)
    async with AsyncExitStack() as stack:
        house = await asyncio.to_thread(open_house)
        stack.push_async_callback(house.close)
        connectors = make_connectors(settings, house.store.engine)
        for connector in connectors.values():
            stack.push_async_callback(connector.close)
        for connector in connectors.values():
            notice(await introduced(connector))
        if "telegram" in connectors and not settings.allowed:
            notice(
                "Telegram: whoever finds the bot is answered from what everyone in the tenant may read. "
                "Name the people and groups it is for in the setting `allowed`."
            )
        delivery = make_delivery(settings, house, connectors, reload)
        await begin(settings, connectors, delivery)
        server = await _listen(settings, connectors, Health(delivery, connectors, house.watch))
        stack.push_async_callback(server.cleanup)
        gc.collect()
        gc.freeze()  # what stands by now stays; looked through again and again, it held everybody up for .1 s each time
        await _work(connectors, delivery, ending)


async def introduced(connector: Connector) -> str:
    """Who Atelier is on a platform, or that this cannot be told yet. Raises Refused with what to check."""
    try:
        return await connector.check()
    except Refused as error:
        raise Refused(f"{error} Check the settings that begin with {connector.name}_.") from error
    except ConnectorError as error:
        return f"{connector.name} cannot be reached yet, and is tried again: {error}"


async def _work(connectors: Mapping[str, Connector], delivery: Delivery, ending: asyncio.Event) -> None:
    """Receive and answer until `ending`. Raises what else ended it: a door that will not open, a failure of ours."""
    receiving = [asyncio.create_task(receive(each, delivery.acceptor(each.name))) for each in connectors.values()]
    working = asyncio.create_task(delivery.run())
    waiting: asyncio.Task[None] = asyncio.create_task(_set(ending))
    try:
        done, _ = await asyncio.wait([*receiving, working, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in receiving:  # first nothing more comes in, then what is under way is finished
            task.cancel()
        await asyncio.gather(*receiving, return_exceptions=True)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        waiting.cancel()
    for task in done:
        task.result()


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _listen(settings: Settings, connectors: Mapping[str, Connector], health: Health) -> web.AppRunner:
    """The one HTTP server: webhooks, /healthz and /metrics. Raises SettingsError when it cannot listen."""
    app = web.Application()
    app.router.add_routes(health.routes())
    for connector in connectors.values():
        app.router.add_routes(connector.routes(health.delivery.acceptor(connector.name)))
    runner = web.AppRunner(app, access_log=None, lingering_time=0.1)  # a refused giant does not hold up the end
    await runner.setup()
    host, _, port = settings.listen.partition(":")
    try:
        await web.TCPSite(runner, host, int(port)).start()
    except (OSError, OverflowError) as error:
        await runner.cleanup()
        raise SettingsError(
            f"{settings.listen} cannot be listened on ({error}). Change the setting `listen`."
        ) from error
    return runner
