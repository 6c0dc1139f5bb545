import threading

import pytest

from astromer.ahead import map_ahead, read_ahead


def test_items_come_in_order_and_once():
    assert list(read_ahead(iter(range(50)))) == list(range(50))
    assert list(read_ahead([])) == []
    assert list(read_ahead([None, None])) == [None, None]


def test_the_next_item_is_made_while_one_is_used():
    made = [threading.Event() for _ in range(3)]

    def items():
        for number, event in enumerate(made):
            event.set()
            yield number

    for number in read_ahead(items()):
        if number < 2:
            assert made[number + 1].wait(timeout=10)


def test_no_more_than_one_is_made_ahead():
    made = []

    def items():
        for number in range(9):
            made.append(number)
            yield number

    ahead = read_ahead(items())
    next(ahead)
    ahead.close()
    # The second may have been begun; a third is never.
    assert made in ([0], [0, 1])


def test_an_error_is_raised_in_its_place():
    def items():
        yield 1
        raise ValueError("broken")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="broken"):
        next(ahead)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 50])
@pytest.mark.parametrize("num_threads", [1, 3])
def test_results_come_in_order(number, num_threads):
    found = map_ahead(lambda value: value**2, iter(range(number)), num_threads)
    assert list(found) == [value**2 for value in range(number)]


def test_threads_work_at_the_same_time():
    both = threading.Barrier(2, timeout=10)
    assert list(map_ahead(lambda _: both.wait() >= 0, range(4))) == [True] * 4


def test_no_thread_is_started_for_a_single_item():
    (name,) = map_ahead(lambda _: threading.current_thread().name, [0])
    assert name == threading.current_thread().name


def test_an_error_of_the_function_is_raised_in_its_place():
    results = map_ahead(lambda value: 1 / value, [1, 2, 0, 4])
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 10])
def test_an_error_of_the_items_comes_after_what_is_before_it(number):
    def items():
        yield from range(number)
        raise ValueError("broken")

    results = map_ahead(str, items())
    assert [next(results) for _ in range(number)] == [str(n) for n in range(number)]
    with pytest.raises(ValueError, match="broken"):
        next(results)
