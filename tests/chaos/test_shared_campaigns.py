"""Many processes write to one ledger over one journal, and are killed, stopped and cut off: nothing is doubled or lost.

Each campaign has 8 workers, a coordinator that is started again when it dies, and a webhook with 20 events a second for
the same customers. Clocks differ by 5 minutes. Every choice comes from the number of the campaign; what the processes
do in between does not, because they race.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.chaos.apply_process import Mock
from tests.chaos.shared_campaign import LEASE, SETTLE, TIMEOUT, campaign_on
from tests.chaos.shared_judge import SharedJudge
from tests.chaos.shared_processes import Parent, parents
from tests.postgres import postgres
from tests.support import NIGHTLY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it stops and kills processes as Linux does")
STRIKES = 500 if NIGHTLY else 50
BATCH = 25  # of one campaign
_ledgers = count(3000)


@pytest.fixture(scope="module")
def forking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[float, Parent]]:
    with parents(tmp_path_factory.mktemp("parents")) as made:
        yield made


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as address:
        yield address


@pytest.fixture(scope="module")
def shared_mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    with Mock(tmp_path_factory.mktemp("mock") / "mock.db", map(str, range(3000, 3100))) as mock:
        yield mock


@pytest.mark.parametrize("seed", range(STRIKES // BATCH))
def test_a_campaign_of_kills_stops_and_cuts_doubles_loses_and_misreports_nothing(
    seed: int, shared_mock: Mock, forking: dict[float, Parent], database: str, tmp_path: Path
) -> None:
    with campaign_on(shared_mock, str(next(_ledgers)), forking, database, tmp_path, seed) as campaign:
        campaign.run(BATCH)
        SharedJudge(campaign).judge()


RATE = 40.0  # requests a second


@pytest.mark.parametrize("with_webhook", [False, True], ids=["workers", "workers and a webhook"])
@pytest.mark.parametrize("seed", range(1000, 1000 + (5 if NIGHTLY else 1)))
def test_no_second_has_more_requests_than_the_pace_and_one_slice(
    seed: int, with_webhook: bool, shared_mock: Mock, forking: dict[float, Parent], database: str, tmp_path: Path
) -> None:
    with campaign_on(
        shared_mock, str(next(_ledgers)), forking, database, tmp_path, seed,
        customers=60, rate=RATE, workers=4, concurrency=16, with_webhook=with_webhook,
    ) as campaign:  # fmt: skip
        campaign.run(12)
        judge = SharedJudge(campaign)
        judge.judge()
        assert judge.busiest_second() <= RATE + RATE / 4, judge.shown_second()


# Nobody can see whether a process that was stopped has already given its request to the system.


@pytest.mark.parametrize("seconds", [1.5 * LEASE, TIMEOUT, TIMEOUT + SETTLE - 0.4], ids=["lease", "limit", "bound"])
def test_a_process_stopped_right_before_it_sends_for_less_than_the_bound_doubles_nothing(
    seconds: float, shared_mock: Mock, forking: dict[float, Parent], database: str, tmp_path: Path
) -> None:
    with campaign_on(
        shared_mock, str(next(_ledgers)), forking, database, tmp_path, 2000, customers=80, workers=3, with_webhook=False
    ) as campaign:
        campaign.stop_one("send", seconds)
        SharedJudge(campaign).judge()


def test_a_stop_beyond_the_bound_is_what_the_judge_calls_doubled(
    shared_mock: Mock, forking: dict[float, Parent], database: str, tmp_path: Path
) -> None:
    with campaign_on(
        shared_mock, str(next(_ledgers)), forking, database, tmp_path, 2001, customers=80, workers=3, with_webhook=False
    ) as campaign:
        campaign.stop_one("send", 2 * (TIMEOUT + SETTLE))
        with pytest.raises(AssertionError, match="doubled: 2 of"):
            SharedJudge(campaign).judge()


def test_a_process_stopped_before_it_notes_a_creation_doubles_nothing_however_long(
    shared_mock: Mock, forking: dict[float, Parent], database: str, tmp_path: Path
) -> None:
    with campaign_on(
        shared_mock, str(next(_ledgers)), forking, database, tmp_path, 2002, customers=80, workers=3, with_webhook=False
    ) as campaign:
        campaign.stop_one("note", 2 * (TIMEOUT + SETTLE))
        SharedJudge(campaign).judge()
