"""The help desk: how the dashboard asks the assistant and sends what a person has confirmed. Neither is made here: the CLI hands them in.

One question at a time, in a thread of its own: no page waits for an answer, and a station's cores are not shared by two of them.
Orders wait here, some minutes, for a confirmation on the screen; a restart forgets them, and then nothing was done.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from inspector.edge.assistance import AssistPayload, Confirmation
from inspector.edge.commands.payload import ReplyPayload
from inspector.errors import AssistError
from inspector.settings import StationSettings, Verb

ORDER_S = 300.0
"""How long an order waits for its confirmation."""
_ORDERS = 100
"""Orders that wait at most; the oldest gives way."""
_WAITING = 4
"""Questions that may wait for an answer at most."""


@dataclass(frozen=True, slots=True)
class Told:
    """A question as it came from a browser."""

    text: str | None
    """Typed; None: nothing was."""
    sound: bytes | None
    """Content of a WAV file; None: nothing was said."""
    picture: Path | None
    """A kept picture that it is about; None: none."""
    product: str | None
    """Product in the picture."""
    lot: str | None
    """Lot of the part in it."""
    part: str | None
    """Inspection that "this part" stands for; None: the newest."""


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody has asked for and must confirm on the screen."""

    user: str
    """Who asked, and alone may confirm."""
    station: str
    """Which station is meant."""
    wanted: Confirmation
    """What would be done."""
    inspection_id: str | None
    """The part that it is about; None: it is about the station."""
    until_s: float
    """When it is forgotten, monotonic clock."""


Ask: TypeAlias = Callable[[StationSettings, Path, Told], AssistPayload]
"""Answers a question; takes as long as it takes. Raises ``InspectorError``."""
Send: TypeAlias = Callable[[StationSettings, Verb, Mapping[str, Any], str], ReplyPayload | None]
"""Sends a command (verb, payload, who) to a station; None: no answer came. Raises ``PublishError`` if it was not sent."""


@dataclass(slots=True)
class HelpDesk:
    """Asks, remembers orders, sends commands."""

    ask: Ask
    """Answers questions."""
    send: Send
    """Sends confirmed commands."""
    _orders: dict[str, Order] = field(default_factory=dict)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "assistant"))
    _waiting: int = 0

    async def answer(self, settings: StationSettings, root: Path, told: Told) -> AssistPayload:
        """Return the answer. Raises ``InspectorError``; an ``AssistError`` if too many others wait."""
        if self._waiting >= _WAITING:
            raise AssistError("the assistant is busy with other questions; ask again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self.ask, settings, root, told)
        finally:
            self._waiting -= 1

    def put(self, user: str, answer: AssistPayload) -> str | None:
        """Remember what an answer would do; return its name, None if it would do nothing."""
        if answer.needs_confirmation is None or not answer.needs_confirmation.is_allowed:
            return None
        self._forget()
        while len(self._orders) >= _ORDERS:
            self._orders.pop(next(iter(self._orders)))
        name = secrets.token_hex(16)
        part = None if answer.part is None else answer.part.inspection_id
        self._orders[name] = Order(user, answer.station, answer.needs_confirmation, part, time.monotonic() + ORDER_S)
        return name

    def order(self, name: str, user: str | None) -> Order | None:
        """Return an order of a user, None if it is another's, too old, done or unknown."""
        self._forget()
        found = self._orders.get(name)
        return found if found is not None and found.user == user else None

    def take(self, name: str, user: str | None) -> Order | None:
        """Return an order and forget it: it is carried out once, or never."""
        found = self.order(name, user)
        if found is not None:
            del self._orders[name]
        return found

    def _forget(self) -> None:
        now_s = time.monotonic()
        for name in [name for name, order in self._orders.items() if order.until_s < now_s]:
            del self._orders[name]
