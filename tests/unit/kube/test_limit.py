"""The limit of requests under way follows the server, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kube.limit import CALM, CAP, FAR, FLOOR, MEMORY, START, WINDOW, Limit

BEST = 0.06
SLOW = BEST * 10


class Server:
    """Answers a limit's requests; time passes only here."""

    def __init__(self, limit: Limit, *, now: float = 1000.0) -> None:
        self.limit = limit
        self.now = now

    def answer(self, seconds: float, *, kind: str = "PATCH", wanted: bool = True) -> None:
        """Give one answer after so many seconds."""
        self.now += seconds
        self.limit.answered(kind, seconds, now=self.now, wanted=wanted)

    def windows(self, count: int, seconds: float, *, wanted: bool = True) -> None:
        """Give as many answers as are judged ``count`` times."""
        for _ in range(count):
            for _ in range(WINDOW):
                self.answer(seconds, wanted=wanted)


@pytest.fixture
def server() -> Server:
    """One that has shown how fast it can be, in a single answer."""
    server = Server(Limit())
    server.answer(BEST)
    return server


def test_it_begins_in_the_middle() -> None:
    assert FLOOR < Limit().allowed == START < CAP


def test_one_more_is_allowed_a_window_while_answers_are_fast_and_others_wait(
    server: Server,
) -> None:
    server.windows(1, BEST)
    assert server.limit.allowed == START + 1
    server.windows(100, BEST)
    assert server.limit.allowed == CAP


def test_a_server_at_hand_gets_no_more_than_at_first_and_what_a_far_one_got_is_taken_back() -> None:
    server = Server(Limit())
    server.windows(20, FAR / 2)
    assert server.limit.allowed == START
    far = Server(Limit())
    far.windows(10, FAR)
    assert far.limit.allowed == START + 10
    far.windows(20, FAR / 2)  # it has moved
    assert far.limit.allowed == START


def test_nothing_more_is_allowed_when_nobody_waits(server: Server) -> None:
    server.windows(20, BEST, wanted=False)
    assert server.limit.allowed == START


def test_a_slow_server_gets_fewer_requests_down_to_the_floor_and_more_when_it_recovers(
    server: Server,
) -> None:
    server.windows(1, SLOW)
    assert server.limit.allowed == START - 2
    server.windows(12, SLOW)
    assert server.limit.allowed == FLOOR
    server.windows(3, BEST)
    assert server.limit.allowed >= FLOOR + 2


@pytest.mark.parametrize(
    ("best", "then", "slow"),
    [
        pytest.param(0.001, 0.14, False, id="140 ms are quick, whatever the best was"),
        pytest.param(0.001, 0.16, True, id="160 ms are not"),
        pytest.param(0.1, 0.25, False, id="a far server, not much slower than ever"),
        pytest.param(0.1, 0.35, True, id="a far server, slower"),
    ],
)
def test_what_is_slow_depends_on_the_best(best: float, then: float, slow: bool) -> None:
    server = Server(Limit())
    server.answer(best)
    server.windows(2, then)
    assert (server.limit.allowed < START) is slow


def test_one_kind_that_is_slow_by_itself_is_no_slow_server(server: Server) -> None:
    for _ in range(10 * WINDOW):
        server.answer(3.0, kind="a kind with a slow webhook")
        server.answer(BEST)
    assert server.limit.allowed > START


def test_a_minority_of_slow_answers_is_no_slow_server(server: Server) -> None:
    for number in range(10 * WINDOW):
        server.answer(SLOW if number % 3 == 0 else BEST)
    assert server.limit.allowed > START


def test_a_server_that_is_slower_for_good_is_measured_by_what_it_can_do_now(
    server: Server,
) -> None:
    server.windows(12, SLOW)
    assert server.limit.allowed == FLOOR
    for _ in range(3):
        server.now += MEMORY
        server.answer(SLOW)
    server.windows(3, SLOW)
    assert server.limit.allowed > FLOOR


def test_a_refusal_halves_the_limit_once_for_all_that_were_under_way(server: Server) -> None:
    for _ in range(START):
        server.limit.refused(2.0, now=server.now)
    assert server.limit.allowed == START // 2
    assert server.limit.pause(server.now) == pytest.approx(2.0)
    server.now += 2.0
    assert server.limit.pause(server.now) == 0
    server.limit.refused(0.01, now=server.now)
    server.limit.refused(0.01, now=server.now + CALM / 2)
    assert server.limit.allowed == FLOOR


def test_the_longest_pause_that_was_asked_for_is_kept(server: Server) -> None:
    server.limit.refused(5.0, now=server.now)
    server.limit.refused(1.0, now=server.now + 1)
    assert server.limit.pause(server.now + 1) == pytest.approx(4.0)


happenings = st.lists(
    st.one_of(
        st.tuples(st.just("answer"), st.floats(0.0, 60.0), st.sampled_from("ab"), st.booleans()),
        st.tuples(st.just("refusal"), st.floats(0.0, 10.0), st.just("a"), st.just(True)),
    ),
    max_size=400,
)


@given(happenings=happenings)
def test_it_stays_within_its_bounds_whatever_happens(
    happenings: list[tuple[str, float, str, bool]],
) -> None:
    server = Server(Limit())
    for what, seconds, kind, wanted in happenings:
        before = server.limit.allowed
        if what == "answer":
            server.answer(seconds, kind=kind, wanted=wanted)
            assert server.limit.allowed <= before + 1
        else:
            server.limit.refused(seconds, now=server.now)
            assert server.limit.allowed <= before
            assert server.limit.pause(server.now) >= seconds - 1e-9
        assert FLOOR <= server.limit.allowed <= CAP
        assert server.limit.pause(server.now) <= 10.0


@given(
    latencies=st.lists(st.floats(0.001, 1.0), min_size=1, max_size=8 * WINDOW),
    factor=st.floats(1, 50),
)
def test_a_slower_server_never_gets_more_requests(latencies: list[float], factor: float) -> None:
    """Two servers that were equally fast at best; from then on one takes longer by a factor."""
    one, other = Limit(), Limit()
    for limit, times in ((one, 1.0), (other, factor)):
        limit.answered("PATCH", 0.001, now=0.0, wanted=True)
        for seconds in latencies:
            limit.answered("PATCH", seconds * times, now=0.0, wanted=True)
    assert other.allowed <= one.allowed
