"""Both providers on loopback, configured as an operator would."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from models_ml import asking
from tests.llm_server import LlmServer, Say, vote


@pytest.fixture
def llm(settings: Settings) -> Iterator[LlmServer]:
    """A server whose two models vote up; a test sets `play` to anything else."""
    with LlmServer(lambda request: Say(vote())) as server:
        settings.GEMINI_API_KEY, settings.GEMINI_MODEL = "AIza-key-of-the-operator", "gemini-test"
        settings.XAI_API_KEY, settings.XAI_MODEL = "xai-key-of-the-operator", "grok-test"
        settings.GEMINI_BASE_URL, settings.XAI_BASE_URL = server.gemini_url, server.xai_url
        settings.LLM_DAILY_TOKEN_CAP = 10_000_000
        asking.warm()
        yield server
        asking.close()
