"""Exit codes, and errors as one line that says what to do next. A person never sees a traceback."""

from __future__ import annotations

from enum import IntEnum

import click

from tripswitch.cluster.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)


class Exit(IntEnum):
    """Exit codes of every command; ``kubectl tripswitch --help`` lists them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NO_CLUSTER = 3
    NOT_FOUND = 4
    FORBIDDEN = 5
    REFUSED = 6


class Problem(click.ClickException):
    """Something that ends a command with one line on stderr."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override] # click's is a class variable
        """The process's exit code."""
        return int(self.code)

    def show(self, file: object = None) -> None:
        """Print the line."""
        del file
        click.echo(f"error: {self.message}", err=True)


def explain(error: ApiError, what: str) -> Problem:
    """Return an error of the API server in a person's words.

    Args:
        error: What the client raised.
        what: What was asked for, such as ``gdeploy/web in namespace shop``.
    """
    words = " ".join(str(error).split())
    match error:
        case NotFoundError() if "could not find the requested resource" in words or (
            words.startswith("404")
        ):
            return Problem(
                "this cluster does not know Tripswitch's kinds: its CRDs are not installed",
                Exit.NOT_FOUND,
            )
        case NotFoundError():
            return Problem(f"{what} not found", Exit.NOT_FOUND)
        case ForbiddenError():
            return Problem(f"not allowed: {words}", Exit.FORBIDDEN)
        case UnauthorizedError():
            return Problem(f"no valid credentials for the cluster: {words}", Exit.NO_CLUSTER)
        case UnreachableError():
            return Problem(f"the cluster does not answer: {words}", Exit.NO_CLUSTER)
        case ConflictError():
            return Problem(f"{what} was changed at the same moment; try again", Exit.REFUSED)
        case _:
            return Problem(f"the API server refused: {words}", Exit.REFUSED)
