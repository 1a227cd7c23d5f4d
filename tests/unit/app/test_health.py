"""Tests of app.health: responses of /health and /ready, without the store's address."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from app import health, problems
from app.log import SELDOM_SECONDS, Seldom
from app.store import LOST_WRITE_SECONDS, Store, connect
from tests.support import redis_server
from tests.support.api_client import Api

if TYPE_CHECKING:
    import redis

UNREACHABLE_STORE = Store(connect("redis://:hush@127.0.0.1:1/0"))


@pytest.fixture
def api(client) -> Api:
    return Api(Store(client))


@pytest.fixture
def own_server() -> Iterator[redis.Redis]:
    """Return a client of a server that the test may spoil."""
    with redis_server.running() as url:
        client = connect(url)
        yield client
        client.close()


@pytest.fixture
def api_without_store() -> Api:
    return Api(UNREACHABLE_STORE)


def test_health_does_not_depend_on_the_store(api, api_without_store):
    """Restarting the API would not fix the store."""
    for tested_api in (api, api_without_store):
        response = tested_api.get("/health")
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_ready_names_its_dependencies(api):
    response = api.get("/ready")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "dependencies": {"store": "ok"}}


def test_not_ready_shows_no_address(api_without_store):
    response = api_without_store.get("/ready")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["dependencies"] == {"store": "down"}
    assert response.json()["detail"] == "the store does not answer"
    assert "hush" not in response.text


def test_stopping_api_is_alive_but_not_ready(api):
    api.app.state.draining = True
    response = api.get("/ready")
    assert (response.status_code, response.json()["detail"]) == (503, "the API is stopping")
    assert response.json()["dependencies"] == {"store": "ok"}
    assert api.get("/health").status_code == 200


def _fail_background_save(client: redis.Redis) -> None:
    """Make the last snapshot fail, after which Redis refuses writes."""
    client.config_set("save", "3600 1")
    socket = Path(client.connection_pool.connection_kwargs["path"])
    socket.with_name("dump.rdb").mkdir()
    client.bgsave()
    while client.info("persistence")["rdb_last_bgsave_status"] == "ok":
        time.sleep(0.01)  # until the child has ended


SPOILED_STORES = {
    "full": lambda client: client.config_set("maxmemory", "100kb"),
    "read-only": lambda client: client.replicaof("127.0.0.1", 1),
    "loading": lambda client: (
        client.config_set("replica-serve-stale-data", "no"),
        client.replicaof("127.0.0.1", 1),
    ),
    "failing": _fail_background_save,
    "denied": lambda client: client.acl_setuser("default", commands=["-@write"], enabled=True),
}


@pytest.mark.parametrize("state", list(SPOILED_STORES))
def test_store_that_refuses_writes_is_reported_with_its_state(own_server, state):
    api = Api(Store(own_server))
    body = {"package": "left-pad", "from": "1.2.0", "to": "1.3.0"}
    assert api.post("/v1/reviews", json=body).status_code == 202
    SPOILED_STORES[state](own_server)
    ready = api.get("/ready")
    assert (ready.status_code, ready.json()["dependencies"]) == (503, {"store": state})
    submission = api.post("/v1/reviews?force=true", json=body)
    assert submission.status_code == 503
    assert submission.json()["detail"] == ready.json()["detail"]
    assert int(submission.headers["retry-after"]) > 0
    assert api.get("/health").status_code == 200


def test_min_replicas_are_reported_and_the_state_heals(own_server):
    api = Api(Store(own_server))
    own_server.config_set("min-replicas-to-write", 1)
    assert api.get("/ready").json()["dependencies"] == {"store": "failing"}
    own_server.config_set("min-replicas-to-write", 0)
    assert api.get("/ready").status_code == 200


def test_store_that_ended_at_a_write_is_not_ready_until_a_write_succeeds():
    """`appendfsync always` ends a store on a full disk; after its restart it answers reads."""
    now = [0.0]
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, "s")
        store = Store(connect(f"unix://{link}"), clock=lambda: now[0])
        api = Api(store)
        body = {"package": "left-pad", "from": "1.2.0", "to": "1.3.0"}
        assert api.post("/v1/reviews", json=body).status_code == 503
        assert api.get("/ready").json()["dependencies"] == {"store": "down"}
        with redis_server.running() as url:
            link.symlink_to(url.removeprefix("unix://"))
            assert api.get("/ready").json()["dependencies"] == {"store": "failing"}
            now[0] += LOST_WRITE_SECONDS
            assert api.get("/ready").status_code == 200
            assert connect(url).dbsize() == 1, "the check wrote"


def test_ready_writes_nothing(api, client):
    client.flushall()
    before = client.info("persistence")["rdb_changes_since_last_save"]
    assert api.get("/ready").status_code == 200
    assert client.info("persistence")["rdb_changes_since_last_save"] == before
    assert client.dbsize() == 0


def test_unavailable_store_is_logged_once_for_many_requests(api_without_store, caplog, monkeypatch):
    for module in (health, problems):
        monkeypatch.setattr(module, "_seldom", Seldom(module.log))
    for _ in range(5):
        api_without_store.get("/ready")
        api_without_store.get("/v1/reviews")
    lines = [(record.message, record.state) for record in caplog.records]
    assert lines == [("not ready", "down"), ("store unavailable", "down")]


def test_seldom_logs_each_failure_once_a_minute(caplog):
    now = [0.0]
    seldom = Seldom(logging.getLogger("test"), clock=lambda: now[0])
    for now[0] in (0.0, 1.0, SELDOM_SECONDS - 1, SELDOM_SECONDS, SELDOM_SECONDS + 1):
        seldom.warning("store unavailable", {"state": "full"})
        seldom.warning("store unavailable", {"state": "down"})
    assert [record.state for record in caplog.records] == ["full", "down"] * 2


def test_requests_during_a_check_of_the_store_share_it(monkeypatch, api):
    checks, may_end = [], threading.Event()

    def check(_: Store) -> None:
        checks.append(1)
        may_end.wait(20)

    monkeypatch.setattr(Store, "check", check)

    async def send_many() -> list[int]:
        transport = httpx.ASGITransport(api.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
            requests = [asyncio.create_task(client.get("/ready")) for _ in range(100)]
            assert (await client.get("/health")).status_code == 200
            may_end.set()
            return [response.status_code for response in await asyncio.gather(*requests)]

    assert asyncio.run(send_many()) == [200] * 100
    assert len(checks) <= 2  # a second one if a request came after the first had ended
