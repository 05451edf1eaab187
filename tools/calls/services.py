"""What the tools work with: made by the server, handed to every call."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from anyio import CapacityLimiter
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from pydantic import SecretStr

from ..decthings import DecthingsClient
from ..files.allowed import AllowedFiles
from ..files.outputs_folder import OutputsFolder
from ..results.errors import NotConfigured, TooManyUploads
from .background import Background
from .time_limits import DEFAULT_RETRY_SECONDS, MAX_CALL_SECONDS


@dataclass(frozen=True)
class Caller:
    """Who makes a request over HTTP. `api_key` is the key that came with it, if there was to be one."""

    name: str
    api_key: SecretStr | None = None


class Unavailable(NamedTuple):
    """Why Decthings cannot be called with this configuration, and what the assistant does about it."""

    message: str
    next_step: str


FindKey = Callable[[], Awaitable[SecretStr | Unavailable]]


class KeyLookup:
    """A client whose API key is looked up when a call first needs it, and again after Decthings has refused it.

    Args:
        client: a client without a key.
    """

    def __init__(self, client: DecthingsClient, find_key: FindKey) -> None:
        self.client = client
        self._keyless = client
        self._find_key = find_key

    async def require(self) -> DecthingsClient:
        """The client with the key.

        Raises:
            NotConfigured: there is no key, or it cannot be read.
        """
        client = self.client
        if client is self._keyless or client.key_refused:
            key = await self._find_key()
            if isinstance(key, Unavailable):
                raise NotConfigured(*key)
            if self.client is client:  # else another call has looked it up meanwhile
                self.client = client.with_key(key)
        return self.client


class UploadSlots:
    """How many uploads of each caller are in progress."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._taken = Counter[str]()

    @contextmanager
    def take(self, caller: str) -> Generator[None]:
        """A slot for one upload.

        Raises:
            TooManyUploads: the caller has as many as allowed.
        """
        if self._limit is not None and self._taken[caller] >= self._limit:
            raise TooManyUploads(self._limit)
        self._taken[caller] += 1
        try:
            yield
        finally:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]


class UploadLink(NamedTuple):
    """Where a person uploads a file for a call that was made with everything but the file."""

    url: str
    valid_minutes: int


class UploadLinks(Protocol):
    """Makes upload links, over HTTP."""

    def create(self, arguments: Mapping[str, Any], caller: Caller, request: Any) -> UploadLink:
        """A link for a call with these arguments.

        Args:
            request: the HTTP request of the call.

        Raises:
            NoUploadLink: the arguments are too long for one.
        """
        ...


class Receipts:
    """What was uploaded by link lately, in this process. Only a memory: another process cannot know it."""

    def __init__(self) -> None:
        self._receipts = OrderedDict[tuple[Any, ...], dict[str, Any]]()

    def keep(self, caller: str, model_id: str, role: Mapping[str, str], receipt: dict[str, Any]) -> None:
        """
        Args:
            role: what the file is to the model, which Decthings does not return.
            receipt: members of the result.
        """
        self._receipts[caller, model_id, *role.items()] = receipt
        if len(self._receipts) > _MAX_RECEIPTS:
            self._receipts.popitem(last=False)

    def find(self, caller: str, model_id: str, role: Mapping[str, str]) -> dict[str, Any] | None:
        """The receipt, if the file of the model was uploaded in this role."""
        return self._receipts.get((caller, model_id, *role.items()))


_MAX_RECEIPTS = 1_000


@dataclass(frozen=True)
class Services:
    """The Decthings client, the files and the limits of one server; over HTTP, of one request."""

    client: DecthingsClient | KeyLookup | Unavailable
    files: AllowedFiles
    check_uploads: bool = True
    retry_seconds: float = DEFAULT_RETRY_SECONDS
    """For how long a call that was refused, or not sent, is retried."""
    call_seconds: float = MAX_CALL_SECONDS
    """For a whole call of a tool, unless it uploads."""
    background: Background | None = None
    uploads: UploadSlots = field(default_factory=UploadSlots)
    upload_links: UploadLinks | None = None
    """None where files are local: over stdio."""
    receipts: Receipts = field(default_factory=Receipts)
    large_checks: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    """How many large arguments are checked at a time."""
    local_runs: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    """How many model files are run on this machine at a time."""
    outputs: OutputsFolder | None = None
    """Where the outputs of models are written, if the operator named a folder."""
    caller: Caller = field(default_factory=lambda: Caller("stdio"))

    @property
    def in_sandbox(self) -> bool:
        client = self.client.client if isinstance(self.client, KeyLookup) else self.client
        return isinstance(client, DecthingsClient) and client.in_sandbox

    async def require_client(self) -> DecthingsClient:
        """The client, with a key.

        Raises:
            NotConfigured: there is no API key, or it cannot be used.
        """
        if isinstance(self.client, Unavailable):
            raise NotConfigured(*self.client)
        return await self.client.require() if isinstance(self.client, KeyLookup) else self.client

    def for_caller(self, caller: Caller) -> Services:
        """The same with the caller's own key, if one came with the request."""
        client = self.client
        if caller.api_key is not None and isinstance(client, DecthingsClient):
            client = client.with_key(caller.api_key)
        return replace(self, client=client, caller=caller)


CALLER = "decthings_mcp.caller"
"""Where an HTTP request's scope names its caller."""
_SERVICES = "decthings_mcp.services"


def services_of(context: Context[Any, Any]) -> Services:
    return services_of_request(context.request_context)


def services_of_request(context: ServerRequestContext[Services, Any]) -> Services:
    services, request = context.lifespan_context, context.request
    if request is None or CALLER not in request.scope:
        return services
    # Kept with the request and nowhere else: a key is used for the calls of its own request alone.
    if _SERVICES not in request.scope:
        request.scope[_SERVICES] = services.for_caller(request.scope[CALLER])
    return request.scope[_SERVICES]
