"""What all tests share: Hypothesis profiles, and the way to the folder of foreign test data."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.contracts.postgres_engine import PostgresEngine
from tests.faults.object_store import ObjectStore, running_object_store
from tests.faults.postgres_server import PostgresServer, running_server

# A slow, shared machine is no finding about the code: no deadline, and slow generation is not an error.
_SLOW_MACHINE = [HealthCheck.too_slow]

settings.register_profile("ci", deadline=None, derandomize=True, max_examples=100, suppress_health_check=_SLOW_MACHINE)
settings.register_profile("long", deadline=None, max_examples=2000, suppress_health_check=_SLOW_MACHINE)
# Mutation tests run the same examples again and again, and need no smallest one.
settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    max_examples=25,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=_SLOW_MACHINE,
)
settings.load_profile(os.environ.get("TOCSIN_HYPOTHESIS", "ci"))

# No test opens a bucket of the person who runs it.
for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the project: recorded foreign files, too large to live here. Skips where absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder `shared` beside the project, with recorded files of other systems")
    return folder


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A real object store, started once for all tests that ask for it."""
    with running_object_store(tmp_path_factory.mktemp("object-store")) as store:
        yield store


@pytest.fixture(params=["folder", "bucket"])
def archive_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place for an archive that nobody had before: in a folder, and in a real bucket."""
    if request.param == "folder":
        yield str(tmp_path / "archive")
    else:
        store: ObjectStore = request.getfixturevalue("object_store")
        with store.opened():
            yield store.new_url()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server that has no standby, started once for all tests that ask for it."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgres_engine(postgres_server: PostgresServer) -> Iterator[PostgresEngine]:
    """Journals in that server, each in a place of its own."""
    made = PostgresEngine(postgres_server)
    yield made
    made.close()
