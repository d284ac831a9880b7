"""The two HTTP clients that providers are called with: what one promises, the other keeps."""

from collections.abc import Callable

import pytest

from sidecar.providers.aiohttp_client import AiohttpClient
from sidecar.providers.client import HttpClient
from sidecar.providers.own_client import OwnClient

NewClient = Callable[[], HttpClient]

both_clients = pytest.mark.parametrize("new_client", [OwnClient, AiohttpClient], ids=["own", "aiohttp"])
"""A test that takes `new_client`."""
