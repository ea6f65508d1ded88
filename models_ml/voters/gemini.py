"""Voter 8: Gemini, asked through google-genai (POST …/v1beta/models/{model}:generateContent).

https://ai.google.dev/api/generate-content documents request and reply.
"""

from google import genai
from google.genai import errors, types

from models_ml.voters.language import LanguageVoter
from models_ml.voters.llm.answers import schema
from models_ml.voters.llm.client import ANSWER_TOKENS, Account, Client, NoReply, Reply
from models_ml.voters.llm.prompts import Prompt
from models_ml.voters.llm.wire import failure_of, http_client, text_of
from models_ml.votes import AbstainReason


class GeminiClient(Client):
    """The Gemini Developer API with its own key; no tools, one candidate, JSON of our schema."""

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._http = http_client()
        self._client = genai.Client(
            vertexai=False,
            api_key=account.key,
            http_options=types.HttpOptions(base_url=account.base_url or None, httpx_async_client=self._http),
        )

    async def ask(self, prompt: Prompt) -> Reply:
        """One call; raises `NoReply`."""
        try:
            response = await self._client.aio.models.generate_content(
                model=self.account.model, contents=prompt.user, config=_config(prompt)
            )
        except errors.APIError as error:
            headers = getattr(error.response, "headers", None)
            raise failure_of(error, error.code if isinstance(error.code, int) else None, headers) from None
        except Exception as error:  # noqa: BLE001  # whatever transport or parser raises on a foreign reply
            raise failure_of(error, None, None) from None
        return _reply(response)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _config(prompt: Prompt) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        system_instruction=prompt.system,
        temperature=0.0,
        candidate_count=1,
        max_output_tokens=ANSWER_TOKENS,
        response_mime_type="application/json",
        response_json_schema=schema(),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )


def _reply(response: types.GenerateContentResponse) -> Reply:
    blocked = response.prompt_feedback is not None and response.prompt_feedback.block_reason is not None
    parts = [
        part.text
        for candidate in (response.candidates or [])[:1]
        if candidate.content
        for part in candidate.content.parts or []
        if part.text and not part.thought
    ]
    if blocked or (not parts and _declined(response)):
        raise NoReply(AbstainReason.REFUSED, "declined")
    used = response.usage_metadata
    written = (used.candidates_token_count or 0) + (used.thoughts_token_count or 0) if used else None
    return Reply(text_of("".join(parts)), used.prompt_token_count if used else None, written)


def _declined(response: types.GenerateContentResponse) -> bool:
    """The model stopped for a reason of its provider's policy."""
    usual = {None, types.FinishReason.STOP, types.FinishReason.MAX_TOKENS}
    return any(candidate.finish_reason not in usual for candidate in response.candidates or [])


class GeminiVoter(LanguageVoter):
    """Google's Gemini."""

    key = "gemini"
    client = GeminiClient
