"""The outermost layer of an application: what nobody foresaw becomes a fixed problem, and problems are counted."""

import logging
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.service import fault
from tocsin.web.problems import PROBLEM_OF, Problem, problem_response

_log = logging.getLogger(__name__)


class LastResort:
    """Turns what nobody foresaw into a fixed problem. Its text could hold input: type and place are logged."""

    def __init__(self, application: ASGIApp, problem_sent: Callable[[str], None] = lambda code: None) -> None:
        self._application = application
        self._problem_sent = problem_sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            self._count(message)
            await send(message)

        try:
            await self._application(scope, receive, watched)
        except Exception as error:
            _log.error("a request failed: %s", fault.told(error))
            if started:
                raise RuntimeError("an answer broke off") from None
            await problem_response(Problem.BROKEN)(scope, receive, watched)

    def _count(self, message: Message) -> None:
        """Counts a problem, which is known by its bytes: nobody else sends these."""
        problem = PROBLEM_OF.get(message.get("body", b""))
        if problem is not None:
            self._problem_sent(problem.code)
