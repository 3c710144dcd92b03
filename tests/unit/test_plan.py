"""Plans and the two ways to run one."""

from __future__ import annotations

import asyncio

import pytest

from stoker.plan import Plan, Reply, Statement, apump, pump, reading, waking, writing

OK = Reply([], 0)


class Broken(Exception):
    pass


@writing
def double(*numbers: int):
    """Ask for every number; give what was answered."""
    answers = []
    for number in numbers:
        reply = yield Statement("double", (number,))
        answers.append(reply.rows[0][0])
    return answers


@writing
def forgiving(kind: type[BaseException] = Broken):
    """Survive a failing statement, ask another, and tell."""
    try:
        yield Statement("fails")
    except kind as error:
        reply = yield Statement("instead")
        return f"{type(error).__name__}, then {reply.changed}"


@writing
def giving_up():
    try:
        yield Statement("fails")
    except Broken:
        return "gave up"


@writing
def tidying(seen: list[str]):
    try:
        yield Statement("first")
        yield Statement("second")
    finally:
        seen.append("tidied")


def doubled(statement: Statement) -> Reply:
    (number,) = statement.params
    return Reply([(2 * number,)], 1)


class Runner:
    """`pump` and `apump` behind one face."""

    def __init__(self, colour: str) -> None:
        self.colour = colour

    def __call__(self, plan, execute):
        if self.colour == "sync":
            return pump(plan, execute)

        async def aexecute(statement):
            await asyncio.sleep(0)
            return execute(statement)

        return asyncio.run(apump(plan, aexecute))


@pytest.fixture(params=["sync", "async"])
def run(request):
    return Runner(request.param)


def test_the_replies_are_sent_in_and_the_result_comes_out(run):
    assert run(double(1, 2, 3), doubled) == [2, 4, 6]


def test_a_plan_that_asks_nothing(run):
    assert run(double(), pytest.fail) == []


def test_the_statements_arrive_one_by_one_in_order(run):
    seen = []

    def execute(statement):
        seen.append(statement)
        return doubled(statement)

    run(double(1, 2), execute)
    assert seen == [Statement("double", (1,)), Statement("double", (2,))]


def test_nothing_runs_before_the_plan_is_run():
    calls = []

    @writing
    def verb():
        calls.append("ran")
        return
        yield

    plan = verb()
    assert calls == []
    pump(plan, lambda statement: OK)
    assert calls == ["ran"]


def test_a_plan_can_be_run_again_and_starts_afresh(run):
    plan = double(1, 2)
    assert run(plan, doubled) == run(plan, doubled) == [2, 4]


def test_a_plan_that_failed_halfway_starts_from_its_beginning(run):
    plan, seen = double(1, 2), []

    def failing(statement):
        seen.append(statement.params)
        if len(seen) == 2:
            raise Broken
        return doubled(statement)

    with pytest.raises(Broken):
        run(plan, failing)
    assert run(plan, failing) == [2, 4]
    assert seen == [(1,), (2,), (1,), (2,)]


def test_two_runs_of_one_plan_do_not_meet():
    plan = double(1)
    first, second = plan.start(), plan.start()
    assert next(first) == next(second)
    with pytest.raises(StopIteration) as done:
        first.send(Reply([("first",)], 1))
    assert done.value.value == ["first"]
    with pytest.raises(StopIteration) as done:
        second.send(Reply([("second",)], 1))
    assert done.value.value == ["second"]


def test_an_error_of_a_statement_comes_out(run):
    error = Broken("why")

    def failing(statement):
        raise error

    with pytest.raises(Broken) as caught:
        run(double(1), failing)
    assert caught.value is error


@pytest.mark.parametrize("kind", [Broken, KeyboardInterrupt, GeneratorExit])
def test_an_error_is_thrown_into_the_plan_which_may_go_on(kind):
    def execute(statement):
        if statement.text == "fails":
            raise kind
        return Reply([], 7)

    assert pump(forgiving(kind), execute) == f"{kind.__name__}, then 7"


def test_an_error_is_thrown_into_the_plan_also_from_async_code():
    async def execute(statement):
        if statement.text == "fails":
            raise Broken
        return Reply([], 7)

    assert asyncio.run(apump(forgiving(), execute)) == "Broken, then 7"


def test_a_plan_may_end_where_an_error_was_thrown_in(run):
    def failing(statement):
        raise Broken

    assert run(giving_up(), failing) == "gave up"


def test_an_error_in_the_plan_itself_comes_out(run):
    @writing
    def wrong():
        yield Statement("first")
        raise Broken("in the plan")

    with pytest.raises(Broken, match="in the plan"):
        run(wrong(), lambda statement: OK)


@pytest.mark.parametrize("failing", ["first", "second", None])
def test_a_plan_is_always_brought_to_its_end(run, failing):
    seen: list[str] = []

    def execute(statement):
        if statement.text == failing:
            raise Broken
        return OK

    if failing:
        with pytest.raises(Broken):
            run(tidying(seen), execute)
    else:
        run(tidying(seen), execute)
    assert seen == ["tidied"]


def test_a_cancelled_coroutine_is_thrown_into_the_plan():
    seen: list[str] = []
    asked = asyncio.Event()

    async def execute(statement):
        asked.set()
        await asyncio.Event().wait()

    async def main():
        task = asyncio.create_task(apump(tidying(seen), execute))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen == ["tidied"]


@pytest.mark.parametrize(
    ("kind", "writes", "wakes"), [(reading, False, False), (writing, True, False), (waking, True, True)]
)
def test_a_verb_says_what_its_plans_do(kind, writes, wakes):
    @kind
    def verb(a, *, b):
        """Promises something."""
        yield Statement("x")
        return a, b

    plan = verb(1, b=2)
    assert isinstance(plan, Plan)
    assert (plan.name, plan.writes, plan.wakes, repr(plan)) == ("verb", writes, wakes, "<Plan verb>")
    assert pump(plan, lambda statement: OK) == (1, 2)
    assert verb.__doc__ == "Promises something."
