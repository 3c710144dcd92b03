"""A typed call of a task, which becomes a `NewJob`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from stoker.errors import InvalidArguments, WorkflowError
from stoker.job import Guard, Limit, NewJob, ParentFailure
from stoker.options import Options
from stoker.step import MARK, Previous, Step, previous, steps_in, with_previous
from stoker.task import Task

_LONGEST_SHARE: Final = 200
"""Characters of an argument that stand in a key as they are; of longer ones, a digest does."""


class Call:
    """A task with arguments that were found to fit, and the options of the job to be.

    In a chain it may lack its first argument: that will be the result of the step before. Raises `InvalidArguments`.
    """

    __slots__ = ("_args", "_kwargs", "_lacks", "options", "payload", "share", "steps", "task")

    def __init__(self, task: Task, options: Options, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.task = task
        self.options = options
        self._lacks: InvalidArguments | None = None
        try:
            self.payload = task.calls.encode(args, kwargs)
        except InvalidArguments as error:
            args = (previous, *args)
            self.payload = self._without_first(args, kwargs, error)
            self._lacks = error
        self.steps = tuple(steps_in((args, kwargs))) if MARK.decode() in self.payload else ()
        self._args, self._kwargs = (args, kwargs) if self.steps else ((), {})
        if callable(options.key) and not self.steps:
            self.options = options.using({"key": self._key(options.key, args, kwargs)})
        self.share = self._share(args, kwargs) if options.limited else None

    def _without_first(self, args: Sequence[Any], kwargs: Mapping[str, Any], error: InvalidArguments) -> str:
        try:
            return self.task.calls.encode(args, kwargs)
        except InvalidArguments:
            raise error from None

    def _key(self, make: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        try:
            return make(*args, **kwargs)
        except Exception as error:  # whatever a function of the app's may raise
            raise InvalidArguments(f"{self.task.name}(): no key can be made of these arguments: {error!r}") from error

    def _share(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        """The value of the argument by which jobs are told apart."""
        by = self.options.by
        if by is None:
            return None
        if self._lacks is not None and self.task.calls.parameters[0] == by:
            raise self._lacks
        self.task.check(self.options)
        value = self.task.calls.value_of(by, args, kwargs)
        if len(value) > _LONGEST_SHARE:
            value = blake2b(value.encode(), digest_size=16).hexdigest()
        return f"{by}={value}"

    def __repr__(self) -> str:
        return f"<Call of {self.task.name} {self.payload}>"

    @property
    def lacks_previous(self) -> bool:
        """Whether it waits for the result of the step before."""
        return any(isinstance(step, Previous) for step in self.steps)

    def after(self, result: Any) -> Call:
        """The call with `result`, that of the step before: where it says `previous`, else as the first argument."""
        if self.lacks_previous:
            args, kwargs = with_previous(self._args, result), with_previous(self._kwargs, result)
        elif self.steps:
            args, kwargs = (result, *self._args), self._kwargs
        else:
            given, kwargs = msgspec.json.decode(self.payload)
            args = (result, *given)
        return Call(self.task, self.options, args, kwargs)

    @property
    def parents(self) -> tuple[str, ...]:
        """The ids of the steps whose results are among the arguments."""
        return tuple(dict.fromkeys(step.id for step in self.steps if isinstance(step, Step)))

    def new_job(
        self,
        id: str,
        *,
        parents: tuple[str, ...] = (),
        on_parent_failure: ParentFailure = ParentFailure.CANCEL,
        workflow: str | None = None,
        extends: str | None = None,
    ) -> NewJob:
        """The request to run this call once. Raises `InvalidArguments`, `WorkflowError` where it is no step."""
        options = self.options
        if workflow is not None:
            self._check_options()
        if self.steps:
            self._check_steps(workflow)
        assert not callable(options.key)
        lenient = on_parent_failure in (ParentFailure.RUN, ParentFailure.ONLY)
        return NewJob(
            id=id,
            task=self.task.name,
            payload=self.payload,
            queue=options.queue,
            priority=options.priority,
            delay=options.delay,
            run_at=options.run_at,
            max_attempts=options.max_attempts,
            max_crashes=options.max_crashes,
            keep_for=options.keep_for,
            owner=options.owner,
            key=options.key,
            tags=options.tags,
            overrides=options.overrides(workflow, lenient=lenient if self.steps else None),
            meta=options.meta,
            parents=parents,
            on_parent_failure=on_parent_failure,
            workflow=workflow,
            extends=extends,
            limit=self._limit() if options.limited else None,
            share=self.share,
            guard=self._guard() if options.limited else None,
        )

    def _check_steps(self, workflow: str | None) -> None:
        if self._lacks is not None:
            raise self._lacks
        if self.lacks_previous:
            raise InvalidArguments(f"{self.task.name}(): there is no step before this one: `previous` is for chains")
        if workflow is None:
            raise InvalidArguments(
                f"{self.task.name}(): a step can be an argument within its workflow only: use Workflow().add(…), or "
                "pass the result itself"
            )

    def _check_options(self) -> None:
        options = self.options
        for name, given in (("key", options.key), ("debounce", options.debounce), ("throttle", options.throttle)):
            if given is not None:
                raise WorkflowError(
                    f"task {self.task.name}: a step cannot have {name}, for another job may take its place; "
                    f"write .using({name}=None)"
                )

    def _name(self) -> str:
        return self.task.name if self.share is None else f"{self.task.name} {self.share}"

    def _limit(self) -> Limit | None:
        concurrency, rate = self.options.concurrency, self.options.rate
        if concurrency is None and rate is None:
            return None
        number, period = (rate.number, rate.period) if rate is not None else (None, None)
        return Limit(self._name(), concurrency, number, period)

    def _guard(self) -> Guard | None:
        if self.options.debounce is not None:
            return Guard(f"debounce {self._name()}", self.options.debounce, last=True)
        if self.options.throttle is not None:
            return Guard(f"throttle {self._name()}", self.options.throttle, last=False)
        return None
