"""Voter 9: Grok, asked through the openai client with xAI's address (POST …/v1/chat/completions).

https://docs.x.ai/docs/api-reference documents request and reply.
"""

import openai
from openai.types.chat import ChatCompletion
from openai.types.shared_params import ResponseFormatJSONSchema

from models_ml.voters.language import LanguageVoter
from models_ml.voters.llm.answers import schema
from models_ml.voters.llm.client import ANSWER_TOKENS, Account, Client, NoReply, Reply
from models_ml.voters.llm.prompts import Prompt
from models_ml.voters.llm.wire import failure_of, http_client, text_of
from models_ml.votes import AbstainReason

XAI = "https://api.x.ai/v1"


class GrokClient(Client):
    """xAI's chat completions with its own key; no tools, no search, JSON of our schema."""

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._client = openai.AsyncOpenAI(
            api_key=account.key, base_url=account.base_url or XAI, max_retries=0, http_client=http_client()
        )

    async def ask(self, prompt: Prompt) -> Reply:
        """One call; raises `NoReply`."""
        try:
            completion = await self._client.chat.completions.create(
                model=self.account.model,
                messages=[{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
                temperature=0.0,
                max_tokens=ANSWER_TOKENS,
                response_format=_FORMAT,
            )
        except openai.APIStatusError as error:
            raise failure_of(error, error.status_code, error.response.headers) from None
        except Exception as error:  # noqa: BLE001  # whatever transport or parser raises on a foreign reply
            raise failure_of(error, None, None) from None
        return _reply(completion)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


_FORMAT: ResponseFormatJSONSchema = {
    "type": "json_schema",
    "json_schema": {"name": "vote", "strict": True, "schema": schema()},
}


def _reply(completion: ChatCompletion) -> Reply:
    """The first choice. The library builds replies without checking them, so every level is looked at."""
    choices = completion.choices if isinstance(completion, ChatCompletion) else None
    message = getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
    if getattr(message, "refusal", None):
        raise NoReply(AbstainReason.REFUSED, "declined")
    used = completion.usage if isinstance(completion, ChatCompletion) else None
    counted = (_whole(getattr(used, name, None)) for name in ("prompt_tokens", "completion_tokens"))
    text = text_of(getattr(message, "content", None))
    return Reply(text, *counted)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


class GrokVoter(LanguageVoter):
    """The Grok of xAI."""

    key = "grok"
    client = GrokClient
