"""Language models on live minutes: one question an instrument, candle and provider, put once for everybody.

`ask` reserves and sends and comes back at once; `Asked.votes` waits for the answers, at most until the deadline. What
was asked and said is on record (`models_ml.reserving`), so the same question is never paid for twice.
"""

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import structlog
from prometheus_client import Counter

from lib import clock
from models_ml import reserving
from models_ml.models import LlmAnswer, LlmCall
from models_ml.panel import LanguageVotes
from models_ml.providers import Provider, limits, providers
from models_ml.reserving import Out, Place, Wish
from models_ml.voters.language import NoRecordedVote
from models_ml.voters.llm.answers import THRESHOLD, BadAnswer, InventedNumber, probabilities, read_answer
from models_ml.voters.llm.facts import Minute
from models_ml.voters.llm.prompts import Prompt, prompt_of
from models_ml.voters.llm.waiting import Heard, WaitingRoom
from models_ml.votes import AbstainReason

log = structlog.get_logger(__name__)
ANSWERS = Counter("candor_language_model_answers", "Calls to language models by how they ended", ["provider", "result"])

REPAIR_S = 0.25
"""With less time than this before the deadline an unreadable answer is not asked for again."""
ASKING_S = 0.1
"""With less time than this nothing is asked at all."""
PATIENCE = 0.5
"""Share of its time that a question may wait for its place among the calls of the last 60 seconds."""
GRACE_S = 0.05
"""A call is cut on its own loop; a loop that does not come to it is not waited for longer than this."""
POLL_S = 0.05
LARGEST = 2**31 - 1
DETAIL_LENGTH = 200

_room = WaitingRoom()


@dataclass(frozen=True, slots=True)
class Asking:
    """One instrument of the shard, and what is known of it."""

    instrument_id: int
    close_time: int
    minute: Minute


@dataclass(frozen=True, slots=True)
class _Question:
    """One provider's question about the instrument of one row."""

    provider: Provider
    row: int
    about: Asking
    prompt: Prompt
    attempt: int = 1

    def wish(self) -> Wish:
        return Wish(
            provider=self.provider.seat,
            model=self.provider.account.model,
            instrument_id=self.about.instrument_id,
            close_time=self.about.close_time,
            template=self.prompt.version,
            prompt_hash=self.prompt.hash,
            need=self.provider.need(self.prompt),
            attempt=self.attempt,
        )


_Sent = tuple[_Question, LlmCall]


def warm() -> None:
    """Make the clients of the configured providers now: their libraries take seconds to import."""
    for provider in providers().values():
        _room.warm(provider.opener, provider.account)


def close() -> None:
    """End the loop and its connections."""
    _room.close()


def ask(about: Sequence[Asking], *, deadline_s: float) -> "Asked":
    """Put the questions of every configured provider about each instrument; does not wait for answers."""
    until = time.monotonic() + deadline_s
    asked = Asked(len(about), list(providers().values()), until)
    if deadline_s < ASKING_S:
        return asked.too_late()
    asked.put(
        [
            _Question(provider, row, one, prompt_of(one.minute, provider.template, provider.candles))
            for provider in asked.providers
            for row, one in enumerate(about)
            if one.minute.readable
        ]
    )
    return asked


def recorded(about: Sequence[Asking], provider: Provider) -> LanguageVotes:
    """What `provider` said about these minutes when they were live; nothing is asked.

    Raises:
        NoRecordedVote: at least one of them has no answer on record.
    """
    keys = [
        (provider.seat, provider.account.model, prompt_of(one.minute, provider.template, provider.candles).hash)
        for one in about
    ]
    answers = reserving.recorded(keys)
    missing = sum(key not in answers for key in keys)
    if missing:
        raise NoRecordedVote(
            f"{missing} of {len(keys)} votes of {provider.seat!r} are not on record: a language model votes live only,"
            " leave it out of this backtest"
        )
    return _votes(len(about), {row: answers[key] for row, key in enumerate(keys)})


class Asked:
    """The questions of one shard and minute, on their way."""

    def __init__(self, rows: int, asked: list[Provider], until: float) -> None:
        self.rows, self.providers, self._until = rows, asked, until
        self._out: dict[Future[Heard], _Sent] = {}
        self._elsewhere: list[tuple[_Question, Out]] = []
        self._ended: dict[tuple[str, int], LlmAnswer | AbstainReason] = {}

    def put(self, questions: Sequence[_Question]) -> None:
        """Reserve and send; answers on record and refusals need no sending."""
        if not questions:
            return
        patience_s = PATIENCE * (self._until - time.monotonic())
        places = reserving.reserve([question.wish() for question in questions], limits(), patience_s)
        for question, place in zip(questions, places, strict=True):
            self._settle(question, place)

    def too_late(self) -> "Asked":
        """Nothing is asked: no answer could come in time, and each would cost."""
        everybody = [(provider.seat, row) for provider in self.providers for row in range(self.rows)]
        self._ended = dict.fromkeys(everybody, AbstainReason.DEADLINE)
        return self

    def votes(self) -> dict[str, LanguageVotes]:
        """Seat → its votes. Waits until the deadline at most; who has not answered by then abstains, for good."""
        answers = self._collect()
        reserving.record(answers)
        for answer in answers:
            result = AbstainReason(answer.abstained).word if answer.abstained else "vote"
            ANSWERS.labels(answer.provider, result).inc()
        self._wait_elsewhere()
        return {
            provider.seat: _votes(
                self.rows, {row: end for (seat, row), end in self._ended.items() if seat == provider.seat}
            )
            for provider in self.providers
        }

    def _settle(self, question: _Question, place: Place) -> None:
        if isinstance(place, LlmCall):
            provider, delay_s = question.provider, (place.asked_at - clock.wall_now()).total_seconds()
            heard = _room.ask(provider.opener, provider.account, question.prompt, self._until, delay_s)
            self._out[heard] = question, place
        elif isinstance(place, Out):
            self._elsewhere.append((question, place))
        else:
            self._end(question, place)

    def _end(self, question: _Question, end: LlmAnswer | AbstainReason) -> None:
        self._ended[question.provider.seat, question.row] = end

    def _collect(self) -> list[LlmAnswer]:
        """Wait for what was sent, repairs included; the answers, not saved yet."""
        answers: list[LlmAnswer] = []
        while self._out:
            left = self._until + GRACE_S - time.monotonic()
            done, _ = wait(self._out, timeout=max(left, 0.0), return_when=FIRST_COMPLETED)
            sent = {future: self._out.pop(future) for future in done or list(self._out)}
            heard = [(*pair, future.result() if future in done else _late(future)) for future, pair in sent.items()]
            answers += self._hear(heard)
        return answers

    def _hear(self, heard: Sequence[tuple[_Question, LlmCall, Heard]]) -> list[LlmAnswer]:
        """Read what came in, and ask once more for what could not be read, where there is time."""
        answers, again = [], []
        for question, call, said in heard:
            answer = _answer(question, call, said)
            answers.append(answer)
            self._end(question, answer)
            if self._repairable(question, answer):
                repair = question.prompt.again(answer.detail)
                again.append(replace(question, prompt=repair, attempt=question.attempt + 1))
        if again:
            self._repair(again)
        return answers

    def _repairable(self, question: _Question, answer: LlmAnswer) -> bool:
        in_time = time.monotonic() + REPAIR_S < self._until
        return answer.abstained == AbstainReason.BAD_ANSWER and question.attempt == 1 and in_time

    def _repair(self, again: Sequence[_Question]) -> None:
        """Like `put`, but where it may not be asked again the unreadable answer stands."""
        places = reserving.reserve([question.wish() for question in again], limits())
        for question, place in zip(again, places, strict=True):
            if not isinstance(place, AbstainReason):
                self._settle(question, place)

    def _wait_elsewhere(self) -> None:
        """Another worker put these questions; its answers are ours as well, if they come in time."""
        while self._elsewhere:
            found = reserving.answered([out.call for _, out in self._elsewhere])
            left = self._until - time.monotonic()
            for question, out in self._elsewhere:
                self._end(question, found.get(out.call.pk, AbstainReason.DEADLINE))
            self._elsewhere = [(question, out) for question, out in self._elsewhere if out.call.pk not in found]
            if left <= 0 or not any(out.alive for _, out in self._elsewhere):
                return
            time.sleep(min(POLL_S, left))


def _late(future: "Future[Heard]") -> Heard:
    future.cancel()
    return Heard(None, 0.0, AbstainReason.DEADLINE, "deadline")


def _answer(question: _Question, call: LlmCall, heard: Heard) -> LlmAnswer:
    """The row about one call: a vote, or why there is none."""
    now = clock.wall_now()
    tokens_in, tokens_out = (_counted(heard.reply, name) for name in ("tokens_in", "tokens_out"))
    told = tokens_in is not None and tokens_out is not None
    cost = question.provider.cost(tokens_in or 0, tokens_out or 0) if told else call.most_cost
    answer = LlmAnswer(
        call=call,
        provider=call.provider,
        abstained=heard.reason or 0,
        detail=heard.detail[:DETAIL_LENGTH],
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens=min((tokens_in or 0) + (tokens_out or 0), LARGEST) if told else call.most_tokens,
        cost=cost,
        latency_ms=heard.latency_ms,
        answered_at=now,
        retry_at=now + timedelta(seconds=heard.retry_after_s) if heard.retry_after_s is not None else None,
    )
    if heard.reply is not None:
        _read(answer, heard.reply.text, question.prompt.facts)
    return answer


def _read(answer: LlmAnswer, text: str, facts: str) -> None:
    """Fill in what was said, or what was wrong with it."""
    try:
        said = read_answer(text, facts)
    except BadAnswer as error:
        answer.abstained, answer.detail = AbstainReason.BAD_ANSWER, str(error)[:DETAIL_LENGTH]
    except InventedNumber as error:
        answer.abstained, answer.detail = AbstainReason.INVENTED_NUMBER, str(error)[:DETAIL_LENGTH]
    else:
        answer.direction, answer.confidence = said.side, said.confidence
        answer.risk, answer.reason = said.risk, said.reason


def _counted(reply: object, name: str) -> int | None:
    """A provider's count of tokens, kept inside what the column holds; None where it told none."""
    value = getattr(reply, name, None)
    return min(max(value, 0), LARGEST) if isinstance(value, int) else None


def _votes(rows: int, ended: dict[int, LlmAnswer | AbstainReason] | dict[int, LlmAnswer]) -> LanguageVotes:
    """(rows, 3) probabilities and reasons; a row that was not asked about had no readable candle."""
    said = np.full((rows, 3), np.nan, dtype=np.float32)
    abstained = np.full(rows, AbstainReason.BAD_INPUT, dtype=np.int8)
    latency = np.zeros(rows, dtype=np.float32)
    for row, end in ended.items():
        if isinstance(end, AbstainReason):
            abstained[row] = end
            continue
        abstained[row], latency[row] = end.abstained, end.latency_ms
        if end.direction is not None and end.confidence is not None:
            said[row] = probabilities(end.direction, end.confidence)
    return LanguageVotes(said, abstained, latency, THRESHOLD)
