"""The order of the tests."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first, so that no core is idle while it ends alone."""
    items.sort(key=lambda item: "test_workflow.py" not in item.nodeid)
