"""Events from Stripe: checked, kept once, answered at once, worked on later.

An event only says that something may have changed with a customer; what, is read from Stripe (`billing.sync`).
"""

import json
from typing import Any, Final

import stripe
import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.audit import operator_work, record
from accounts.models import User
from accounts.scoping import scope_to
from billing.models import Customer, StripeEvent
from billing.sync import ACTOR, sync
from lib.clock import from_epoch, wall_now
from lib.errors import CandorError
from lib.transactions import on_commit

TOLERANCE_S: Final = 300
MOST_BYTES: Final = 262_144
KINDS: Final = ("checkout.session.", "customer.subscription.", "invoice.", "customer.")
"""Beginnings of the types that may change a subscription; others are kept and ignored."""
WORK_ON: Final = "billing.tasks.work_on"
State = StripeEvent.State

log = structlog.get_logger(__name__)


class ForgedError(CandorError):
    """A request that Stripe did not sign, or signed too long ago."""


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Take one event in: 200 for one that is kept (now or before), 400 for what Stripe did not send."""
    if not settings.STRIPE_WEBHOOK_SECRETS:
        return JsonResponse({"detail": "this installation takes no payments"}, status=404)
    if len(request.body) > MOST_BYTES:  # what is far larger, Django itself refuses
        return JsonResponse({"detail": f"an event has at most {MOST_BYTES} bytes"}, status=413)
    try:
        event = verified(request.body, request.headers.get("Stripe-Signature", ""))
    except ForgedError as error:
        log.warning("stripe event refused", reason=str(error))
        return JsonResponse({"detail": str(error)}, status=400)
    return JsonResponse({"received": True, "new": keep(event)})


def verified(body: bytes, signature: str) -> dict[str, Any]:
    """The event in a raw body that carries a signature of one of our secrets, not older than five minutes.

    Raises:
        ForgedError: none of the secrets signed it, or it is no event.
    """
    for secret in settings.STRIPE_WEBHOOK_SECRETS:
        try:
            stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_S)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            continue
        return _event(body)
    raise ForgedError("the signature is missing, wrong or too old")


def _event(body: bytes) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except ValueError:
        event = None
    match event:
        case {"id": str(), "type": str(), "created": int(), "data": {"object": dict()}}:
            return dict(event)
    raise ForgedError("this is not an event")


def keep(event: dict[str, Any]) -> bool:
    """Store an event unless it is known, and have it worked on after the commit; whether it was new."""
    row = StripeEvent(
        event_id=event["id"], type=event["type"][:120], created=from_epoch(event["created"]), payload=event
    )
    if not row.type.startswith(KINDS):
        row.state = State.IGNORED
    StripeEvent.objects.bulk_create([row], ignore_conflicts=True)
    kept = StripeEvent.objects.filter(event_id=row.event_id).values_list("pk", "received_at", "state").get()
    is_new = kept[1] == row.received_at
    if is_new and kept[2] == State.RECEIVED:
        start(kept[0])
    return is_new


def start(pk: int) -> None:
    """Have a worker take an event after the commit; a message that is lost is found by the sweeper."""
    on_commit(lambda: current_app.send_task(WORK_ON, [pk]))


def work(pk: int) -> StripeEvent | None:
    """Work on one stored event; None where another worker has it or it is done.

    A failure is written down on the row, and the sweeper tries again.
    """
    with transaction.atomic(), operator_work(ACTOR, f"event {pk}"):
        undone = StripeEvent.objects.select_for_update(skip_locked=True)
        event = undone.filter(pk=pk, state__in=[State.RECEIVED, State.FAILED]).first()
        if event is None:
            return None
        event.attempts += 1
        event.tried_at = wall_now()
        try:
            with transaction.atomic():
                event.state, event.error = _handle(event), ""
        except CandorError as error:
            event.state, event.error = State.FAILED, str(error)[:500]
            log.warning("stripe event failed", stripe_event=event.event_id, error=event.error)
        event.save(update_fields=["attempts", "tried_at", "state", "error"])
        return event


def _handle(event: StripeEvent) -> StripeEvent.State:
    customer_id = customer_of(event.payload)
    customer = Customer.objects.filter(stripe_id=customer_id).first() if customer_id else None
    if customer is None:
        return State.IGNORED  # somebody else's customer in the same Stripe account
    with scope_to(customer.organization_id):
        sync(customer.organization_id, event.event_id)
    return State.DONE


def customer_of(event: dict[str, Any]) -> str:
    """The id of the customer that an event is about, "" where it names none."""
    found = event["data"]["object"]
    named = found.get("id") if found.get("object") == "customer" else found.get("customer")
    if isinstance(named, dict):
        named = named.get("id")
    return named if isinstance(named, str) else ""


def replay(event: StripeEvent, by: User) -> None:
    """Have an event worked on again, on the record; inside operator work."""
    StripeEvent.objects.filter(pk=event.pk).update(state=State.RECEIVED, error="")
    record("stripe_event.replayed", user=by, event=event.event_id, type=event.type)
    start(event.pk)
