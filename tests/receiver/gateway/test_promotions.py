"""Short runs of ``python -m tests.promotions``, without a daemon and with a whole enclave."""

from pathlib import Path

import pytest

from tests.promotions import BY_SERVING, promotions, whole


@pytest.mark.clients
@pytest.mark.needs("root")
def test_no_client_gets_two_versions_while_pointers_move(tmp_path: Path) -> None:
    """Nothing fails, and every file is of the version that it is said to be."""
    outcome = promotions(tmp_path, BY_SERVING, moves=200, seconds=10)
    assert outcome.problems == []
    assert outcome.moves == 200
    assert outcome.files > 0


@pytest.mark.clients
@pytest.mark.needs("image tools", "npm")
def test_no_client_notices_restarts_and_orders_of_a_whole_enclave(tmp_path: Path) -> None:
    """Nothing fails while the gateway is renewed and the daemon starts anew, and every file is of its version."""
    outcome = whole(tmp_path, ("curl", "hf", "mcp", "npm", "pip", "skopeo"), moves=8, seconds=4, restarts=2)
    assert outcome.problems == outcome.cut == []
    assert outcome.restarts == {"hup": 1, "daemon": 1}
    assert outcome.moves == 8
    assert outcome.files > 0
