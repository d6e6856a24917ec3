"""Which of several errors of one decision's actions decides what happens next."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from tripswitch.cluster.errors import ApiError, ConflictError, NotFoundError, ThrottledError
from tripswitch.cluster.log_context import about
from tripswitch.cluster.record import Record

logger = logging.getLogger(__name__)


def rank_error(error: BaseException) -> tuple[int, float]:
    """Return how bad an error is beside others; the lowest is the worst and decides what happens next.

    A bug must be seen. A request for patience must be kept, the longest one first. A conflict only says
    that the look was stale.
    """
    match error:
        case ThrottledError():
            return 1, -error.retry_after
        case ConflictError() | NotFoundError():
            return 3, 0.0
        case ApiError():
            return 2, 0.0
    return 0, 0.0


def pick_worst(errors: Iterable[BaseException], record: Record) -> BaseException:
    """Return the error to raise, with notes of the others; log these, conflicts only for debugging."""
    worst, *others = sorted(errors, key=rank_error)
    for error in others:
        words = error.describe() if isinstance(error, ApiError) else repr(error)
        worst.add_note(f"another action failed, too: {words}")
        rank, _ = rank_error(error)
        level = {0: logging.ERROR, 3: logging.DEBUG}.get(rank, logging.WARNING)
        context = about(record.key)
        logger.log(level, "%s", words, exc_info=None if rank else error, extra=context)
    return worst
