"""Results come in the order in which the work was given out, and no more of it is under way than allowed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from gcn_luigi.io.parallel import in_order


@pytest.fixture(params=[1, 4])
def pool(request):
    with ThreadPoolExecutor(request.param) as threads:
        yield threads


def test_results_come_in_order(pool):
    ready = threading.Event()

    def work(number):
        # The first one waits for a later one, where there are threads for both.
        if number == 0 and pool._max_workers > 1:
            assert ready.wait(10)
        if number == 1:
            ready.set()
        return number

    assert list(in_order(pool, (partial(work, number) for number in range(20)), 3)) == list(range(20))


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_no_more_is_taken_than_may_be_ahead(pool, ahead):
    taken = []

    def calls():
        for number in range(12):
            taken.append(number)
            yield partial(int, number)

    for done, _ in enumerate(in_order(pool, calls(), ahead), 1):
        assert len(taken) <= done + ahead


def test_an_error_is_raised_in_its_turn_and_what_follows_is_given_up(pool):
    def work(number):
        if number == 3:
            raise ValueError("three")
        return number

    seen = []
    with pytest.raises(ValueError, match="three"):
        seen.extend(in_order(pool, (partial(work, number) for number in range(9)), 4))

    assert seen == [0, 1, 2]


def test_no_work_is_no_result(pool):
    assert list(in_order(pool, iter(()), 2)) == []
