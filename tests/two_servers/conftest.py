from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.services import free_port
from tests.two_servers.instance import Instance, Person, unique, wait_for


@pytest.fixture(scope="session")
def pair() -> Iterator[tuple[Instance, Instance]]:
    """Two embedded instances: SQLite, local disk, no Redis."""
    yield from _running(Instance("North", free_port()), Instance("South", free_port()))


@pytest.fixture(scope="session")
def production_pair(postgres_url: str, redis_url: str) -> Iterator[tuple[Instance, Instance]]:
    """Two instances with production settings: PostgreSQL and Redis."""
    made = []
    for number, name in enumerate(("East", "West")):
        with psycopg.connect(postgres_url, autocommit=True) as server:
            server.execute(f"DROP DATABASE IF EXISTS {name.lower()}")
            server.execute(f"CREATE DATABASE {name.lower()}")
        environment = {
            "TRIBUTARY_DATABASE_URL": f"{postgres_url.rsplit('/', 1)[0]}/{name.lower()}",
            "TRIBUTARY_REDIS_URL": f"{redis_url.rsplit('/', 1)[0]}/{number}",
        }
        made.append(Instance(name, free_port(), environment=environment))
    yield from _running(*made)


@pytest.fixture(scope="session")
def postgres_url() -> str:
    return _service("TRIBUTARY_TEST_POSTGRES_URL")


@pytest.fixture(scope="session")
def redis_url() -> str:
    return _service("TRIBUTARY_TEST_REDIS_URL")


def _service(name: str) -> str:
    import os

    if name not in os.environ:
        pytest.fail(f"{name} is not set: run these tests through script/test --part two_servers", pytrace=False)
    return os.environ[name]


def _running(*instances: Instance) -> Iterator[tuple[Instance, ...]]:
    try:
        for instance in instances:
            instance.start()
        yield instances
    finally:
        for instance in instances:
            log = Path(f"/tmp/tributary-{instance.name}.log")
            log.write_bytes(instance.log.read_bytes())
            instance.remove()


@pytest.fixture
def friends(pair: tuple[Instance, Instance]) -> tuple[Person, Person]:
    """New people: the second, on the other instance, follows the first."""
    return befriend(*pair)


@pytest.fixture
def production_friends(production_pair: tuple[Instance, Instance]) -> tuple[Person, Person]:
    """The same on the production pair."""
    return befriend(*production_pair)


def befriend(north: Instance, south: Instance) -> tuple[Person, Person]:
    """Sign two people up and let the second follow the first."""
    maker, viewer = Person(north, unique("maker")), Person(south, unique("viewer"))
    maker.sign_up()
    viewer.sign_up()
    viewer.api("GET", f"/search?q={maker.address}&resolve=true")
    viewer.api("PUT", f"/accounts/{maker.address}/follow")
    accepted = "SELECT 1 AS n FROM accounts_follow f JOIN accounts_account a ON a.id = f.follower_id WHERE f.state = 'accepted' AND a.handle = ?"
    wait_for("the follow accepted", lambda: south.rows(accepted, viewer.handle), seconds_max=30)
    wait_for("the follow known at home", lambda: north.rows(accepted, viewer.handle), seconds_max=30)
    return maker, viewer
