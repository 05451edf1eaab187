"""A Decthings in memory behind a network that loses, cuts, delays and refuses: what it has is the truth.

The bytes are those of real HTTP: the network is the lowest layer of the real client.
"""

import asyncio
import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpcore
import httpx
import support
from decthings_mcp.tools.decthings.wire import encode_response
from simulated_time import simulated_time

EPOCH = 1_800_000_000.0
"""Seconds since 1970 at the beginning of the simulated time."""
ME = {"type": "user", "userId": "u-1", "username": "me"}
STRANGER = {"type": "user", "userId": "u-2", "username": "stranger"}
ORGANIZATION = {"type": "organization", "organizationId": "o-1", "organizationName": "acme"}

Change = Callable[["Decthings"], None]
"""What another program does, at a moment of a call."""


@dataclass(frozen=True)
class Weather:
    """What happens to one request. By default nothing: it arrives, and its response too."""

    connects: str = "yes"
    """Or "refused" or "timeout"."""
    cut: float | None = None
    """The connection breaks after this share of the request's body; Decthings never hears of it, unless that is 1."""
    sends_in: float = 0.0
    """Seconds until the last byte of the request is taken."""
    acts_after: float | None = 0.0
    """Seconds until Decthings gets the request; None if never."""
    responds_after: float | None = 0.0
    """Seconds until the response; None if never."""
    says: bytes | None = None
    """What an intermediary responds instead of Decthings."""
    kept: float = 1.0
    """The share of the response that arrives."""
    resets: bool = False
    """A response that is cut ends in an error and not in the end of the stream."""
    error: str | None = None
    """The code of an error with which Decthings refuses the request."""
    before: Change | None = None
    after: Change | None = None

    @property
    def is_fine(self) -> bool:
        """Whether one try is enough."""
        return self == Weather(before=self.before, after=self.after)


FINE = Weather()


@dataclass
class Model:
    id: str
    name: str
    description: str
    owner: dict[str, str]
    created: float
    ask: int | None
    """The number of the call that created it; None if another program did."""
    ready: float
    fails: bool
    public: bool = False
    snapshots: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """`id`, `name`, `created`, `ask`."""

    @property
    def is_mine(self) -> bool:
        """Whether the account may change it."""
        return self.owner != STRANGER


def owner_of(name: str, owner: dict[str, str]) -> dict[str, str]:
    """Of a model that the owner creates: a name like "acme/a" means the organization."""
    return ORGANIZATION if owner == ME and "/" in name else owner


@dataclass
class Decthings:
    """Its models, and what was done to them by which call."""

    date_skew: float = 0
    """By how much the clock of the Date header is fast."""
    clock_skew: float = 0
    """The same for the clock of createdAt."""
    tells_date: bool = True
    """Whether its responses have a Date header."""
    tells_created_at: bool = True
    in_seconds: bool = False
    """The unit of createdAt."""
    lag: float = 0
    """Seconds until a change is listed."""
    ask: int = 0
    """The number of the current call of a tool, or of the last one."""
    in_call: bool = False
    """Whether its result is still to come. Then no other program changes anything until what is delayed has arrived."""
    models: dict[str, Model] = field(default_factory=dict[str, Model])
    history: list[tuple[float, dict[str, Model]]] = field(default_factory=lambda: [(float("-inf"), {})])
    """The models since each moment."""
    acted: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """The number of the call and the method, of each request that changed something."""
    ids: Iterator[int] = field(default_factory=count)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def changed(self) -> None:
        self.history.append((self.now(), copy.deepcopy(self.models)))

    def done_by(self, ask: int) -> list[str]:
        """The methods that a call has carried out."""
        return [method for number, method in self.acted if number == ask]

    def listed(self) -> dict[str, Model]:
        return [models for moment, models in self.history if moment <= self.now() - self.lag][-1]

    def holder(self, name: str, owner: dict[str, str] = ME) -> Model | None:
        key = name, owner_of(name, owner)
        return next((model for model in self.models.values() if (model.name, model.owner) == key), None)

    def add(
        self, name: str, description: str, owner: dict[str, str] = ME, ask: int | None = None,
        *, seconds: float = 0, fails: bool = False,
    ) -> Model | None:  # fmt: skip
        """A model, unless the name is taken. It takes `seconds` to be created."""
        if self.holder(name, owner):
            return None
        now = self.now()
        model = Model(
            f"model-{next(self.ids)}", name, description, owner_of(name, owner), now, ask, now + seconds, fails
        )
        self.models[model.id] = model
        self.changed()
        return model

    def reply(self, method: str, params: dict[str, Any], ask: int) -> dict[str, Any]:
        if method == "getModels":
            return {"result": self._page(params)}
        if method == "createModel":
            return self._create(params, ask)
        model = self.models.get(params["modelId"])
        if model is None:
            return {"error": {"code": "model_not_found"}}
        if method == "waitForModelToBeCreated":
            return self._wait(model)
        if not model.is_mine:
            return {"error": {"code": "access_denied"}}
        return self._change(method, model, params, ask)

    def _create(self, params: dict[str, Any], ask: int) -> dict[str, Any]:
        model = self.add(params["name"], params["description"], ask=ask)
        if model is None:
            return {"error": {"code": "name_already_used"}}
        self.acted.append((ask, "createModel"))
        return {"result": {"modelId": model.id, "isNowCreating": False}}

    def _change(self, method: str, model: Model, params: dict[str, Any], ask: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        if method == "updateModel":
            holder = self.holder(params["properties"].get("name", model.name), model.owner)
            if holder not in (None, model):
                return {"error": {"code": "name_already_used"}}
            for name, value in params["properties"].items():
                setattr(model, name, value)
        elif method == "deleteModel":
            del self.models[model.id]
        else:
            assert method == "snapshotModel"
            snapshot = self.take_snapshot(model, params["snapshotName"], ask)
            result = {"snapshotId": snapshot["id"]}
        self.acted.append((ask, method))
        self.changed()
        return {"result": result}

    def take_snapshot(self, model: Model, name: str, ask: int | None) -> dict[str, Any]:
        snapshot = {"id": f"snapshot-{next(self.ids)}", "name": name, "created": self.now(), "ask": ask}
        model.snapshots.append(snapshot)
        return snapshot

    def _wait(self, model: Model) -> dict[str, Any]:
        if model.fails:
            return {"result": {"createModelFailed": {"error": {"code": "unknown"}}}}
        return {"error": {"code": "model_already_created"}}

    def _page(self, params: dict[str, Any]) -> dict[str, Any]:
        wanted, offset, limit = params.get("filter", {}), params.get("offset", 0), params.get("limit", 20)
        found = [
            self._document(model)
            for model in self.listed().values()
            if model.id in wanted.get("ids", [model.id]) and model.name in wanted.get("names", [model.name])
        ]
        return {"models": found[offset : offset + limit], "total": len(found), "offset": offset, "limit": limit}

    def _document(self, model: Model) -> dict[str, Any]:
        return {
            "id": model.id, "name": model.name, "description": model.description, "publicAccess": model.public,
            "createdAt": self._stamp(model.created), "tags": [], "owner": model.owner, "language": "go",
            "access": "read" if model.owner == STRANGER else "readwrite", "beingCreated": self.now() < model.ready,
            "states": [],
            "snapshots": [
                {"id": one["id"], "name": one["name"], "createdAt": self._stamp(one["created"])}
                for one in model.snapshots
            ],
        }  # fmt: skip

    def _stamp(self, moment: float) -> float | str:
        if not self.tells_created_at:
            return "some time ago"
        seconds = EPOCH + moment + self.clock_skew
        return seconds if self.in_seconds else round(seconds * 1000)


@dataclass
class Network:
    """The way to Decthings. `weather` is what happens to the next requests; then `lasting`."""

    decthings: Decthings
    weather: list[Weather] = field(default_factory=list[Weather])
    lasting: Weather = FINE
    deliveries: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """The number of the call and the method of each request that was sent completely."""
    tries: int = 0
    """How many requests the last call has begun, or could not begin."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def next_weather(self) -> Weather:
        self.tries += 1
        return self.weather.pop(0) if self.weather else self.lasting

    def peek(self) -> Weather:
        return self.weather[0] if self.weather else self.lasting

    def http_client(self, **_: Any) -> httpx.AsyncClient:
        """In place of the client that opens real connections."""
        transport = httpx.AsyncHTTPTransport(verify=support.NO_CERTIFICATES)
        transport._pool = httpcore.AsyncConnectionPool(network_backend=_Backend(self))  # pyright: ignore[reportPrivateUsage]
        return httpx.AsyncClient(transport=transport, trust_env=False)

    def start(self, weather: Weather, head: bytes, body: bytes, stream: "_Stream") -> None:
        task = asyncio.get_running_loop().create_task(self._serve(weather, head, body, stream, self.decthings.ask))
        self.tasks.add(task)

    async def settle(self) -> None:
        """Until the last delayed request has arrived."""
        await asyncio.gather(*self.tasks)
        self.tasks.clear()

    async def _serve(self, weather: Weather, head: bytes, body: bytes, stream: "_Stream", ask: int) -> None:
        method = head.partition(b" HTTP/")[0].rpartition(b"/")[2].decode()
        self.deliveries.append((ask, method))
        reply: dict[str, Any] | None = None
        started = self.decthings.now()
        # Whichever comes first: an intermediary can respond before Decthings acts.
        for moment, step in sorted(
            [(weather.acts_after, 0), (weather.responds_after, 1)],
            key=lambda pair: (float("inf") if pair[0] is None else pair[0], pair[1]),
        ):
            if moment is None:
                continue
            await asyncio.sleep(started + moment - self.decthings.now())
            if step == 0:
                reply = await self._act(weather, method, body, ask)
            else:
                stream.respond(self._response(weather, reply), weather)

    async def _act(self, weather: Weather, method: str, body: bytes, ask: int) -> dict[str, Any]:
        if weather.before is not None and self.decthings.in_call:
            weather.before(self.decthings)
        params, _ = support.decode_request(body)
        if method == "waitForModelToBeCreated" and (model := self.decthings.models.get(params["modelId"])):
            await asyncio.sleep(max(0.0, model.ready - self.decthings.now()))
        if weather.error is not None:
            reply: dict[str, Any] = {"error": {"code": weather.error}}
        else:
            reply = self.decthings.reply(method, params, ask)
        if weather.after is not None and self.decthings.in_call:
            weather.after(self.decthings)
        return reply

    def _response(self, weather: Weather, reply: dict[str, Any] | None) -> bytes:
        if weather.says is not None:
            return weather.says
        assert reply is not None
        date = formatdate(EPOCH + self.decthings.now() + self.decthings.date_skew, usegmt=True)
        dated = [f"Date: {date}"] if self.decthings.tells_date else []
        return support.http_response(encode_response(reply), "200 OK", "application/octet-stream", *dated)


class Simulation:
    """A server with a client, whose Decthings and network are simulated, and whose time is that of the simulation."""

    def __init__(self, files: Path, **settings: Any) -> None:
        self.decthings = Decthings()
        self.network = Network(self.decthings)
        self._stack = ExitStack()
        self._stack.enter_context(patch("decthings_mcp.server.connection.open_http_client", self.network.http_client))
        self.run = self._stack.enter_context(simulated_time())
        self._closing = asyncio.Event()
        self.started = self.ended = 0.0
        self.states: list[dict[str, Model]] = []
        self.done: list[str] = []
        self._session: asyncio.Task[None] | None = None
        self.chat: support.Chat = self.run(self._open(files, settings))

    async def _open(self, files: Path, settings: dict[str, Any]) -> support.Chat:
        opened: asyncio.Future[support.Chat] = asyncio.get_running_loop().create_future()

        async def session() -> None:
            upstream = support.Upstream(url="http://decthings.invalid/v0")
            async with support.connect_chat(upstream, files, **settings) as chat:
                opened.set_result(chat)
                await self._closing.wait()

        self._session = asyncio.get_running_loop().create_task(session())
        return await opened

    def close(self) -> None:
        async def close() -> None:
            self._closing.set()
            assert self._session is not None
            await self._session

        self.run(close())
        self._stack.close()

    def act(self, change: Callable[[Decthings], Any]) -> Any:
        """What the change returns, made at the present time."""

        async def act() -> Any:
            return change(self.decthings)

        return self.run(act())

    def passes(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    def call(self, tool: str, weather: Sequence[Weather] = (), lasting: Weather = FINE, **arguments: Any) -> Any:
        """The result of a call in that weather. When it returns, all that was delayed has arrived.

        Keeps when it `started` and `ended`, the `states` that Decthings had meanwhile, and what the call had `done` at
        its end.
        """
        self.decthings.ask += 1
        self.network.weather, self.network.lasting, self.network.tries = list(weather), lasting, 0

        async def call() -> dict[str, Any]:
            self.started, first = self.decthings.now(), len(self.decthings.history) - 1
            self.decthings.in_call = True
            result = await self.chat(tool, **arguments)
            self.decthings.in_call = False
            self.ended = self.decthings.now()
            self.states = [models for _, models in self.decthings.history[first:]]
            self.done = self.decthings.done_by(self.decthings.ask)
            self.network.weather, self.network.lasting = [], FINE
            await self.network.settle()
            return result

        return self.run(call())

    def states_of(self, model_id: str) -> list[Model]:
        """Those of a model during the last call."""
        return [models[model_id] for models in self.states if model_id in models]

    def sent(self, method: str) -> int:
        """How often the last call has sent a complete request of this method."""
        return self.network.deliveries.count((self.decthings.ask, method))


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, network: Network) -> None:
        self._network = network

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        match self._network.peek().connects:
            case "refused":
                self._network.next_weather()
                raise httpcore.ConnectError
            case "timeout":
                self._network.next_weather()
                await asyncio.sleep(timeout or 0)
                raise httpcore.ConnectTimeout
            case _:
                return _Stream(self._network)


class _Stream(httpcore.AsyncNetworkStream):
    """One connection: it takes a request, and gives its response."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._sent = b""
        self._weather: Weather | None = None
        self._arrived = asyncio.Event()
        self._response = b""
        self._resets = self._ends = False

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:  # the end of a request
            return
        if self._weather is None:
            self._weather = self._network.next_weather()
            if self._weather.connects != "yes":  # the connection was kept, and has ended meanwhile
                self._break()
        self._sent += buffer
        head, separator, body = self._sent.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) == length:
            weather, self._sent = self._weather, b""
            await asyncio.sleep(weather.sends_in)
            if weather.cut in (None, 1.0):
                self._network.start(weather, head, body, self)
            if weather.cut is None:
                self._weather = None
        if self._weather is not None and self._weather.cut is not None and len(body) >= self._weather.cut * length:
            self._break()

    def _break(self) -> None:
        """The HTTP client looks for a response all the same: there is none."""
        self._ends = True
        self._arrived.set()
        raise httpcore.WriteError

    def respond(self, response: bytes, weather: Weather) -> None:
        if self._ends:
            return
        whole = weather.kept == 1.0
        self._response = response if whole else response[: int(len(response) * weather.kept)]
        self._ends, self._resets = not whole or weather.says is not None, weather.resets
        self._arrived.set()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                await self._arrived.wait()
        except TimeoutError:
            raise httpcore.ReadTimeout from None
        part, self._response = self._response[:max_bytes], self._response[max_bytes:]
        if not part and self._resets:
            raise httpcore.ReadError
        if not self._response and not self._ends:
            self._arrived.clear()
        return part

    async def aclose(self) -> None:
        self._sent = b""

    async def start_tls(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        return self

    def get_extra_info(self, info: str) -> Any:
        return None


def intermediary(status: str, *headers: str) -> bytes:
    """A response of a proxy."""
    return support.http_response(b"<html>", status, "text/html", *headers)
