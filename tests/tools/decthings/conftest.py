import pytest
from decthings_mcp.tools.decthings import ClientPool, DecthingsClient
from support import Upstream, decthings


@pytest.fixture
def client(client_pool: ClientPool, upstream: Upstream) -> DecthingsClient:
    return decthings(client_pool, upstream.url)
