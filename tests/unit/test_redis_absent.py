"""A cluster or sentinels that nobody answers for are an error that says where they were looked for."""

from __future__ import annotations

import pytest

import places
from stoker import Stoker, StoreUnavailable


@pytest.mark.parametrize("url", ["redis+cluster://127.0.0.1:{port}", "redis+sentinel://:s3cret@127.0.0.1:{port}/jobs"])
def test_nobody_answers(url: str) -> None:
    with places.nobody() as port, Stoker(url.format(port=port)) as app:
        with pytest.raises(StoreUnavailable) as refused:
            app.jobs.list()
        assert f"127.0.0.1:{port}" in str(refused.value)
        assert "s3cret" not in str(refused.value)
