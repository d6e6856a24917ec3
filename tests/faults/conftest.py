"""One lab for the faults that run before every change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.lab import Lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A throwaway control plane of its own, with a witness."""
    with Lab(tmp_path_factory.mktemp("lab"), seed=1) as lab:
        yield lab
