"""What pages say about a subscription that needs attention."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from accounts.access import Viewer
from accounts.plans import plan_of
from billing.gateway import enabled
from billing.models import Subscription
from billing.state import Phase
from lib.clock import wall_now


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence, and the time it is about."""

    tone: str
    text: str
    until: datetime | None = None


def notice_of(row: Subscription | None) -> Notice | None:
    """What is to be said of a subscription now; None where all is well."""
    if row is None:
        return None
    due, plan = row.entitlement(wall_now()), plan_of(row.plan).title
    words = {
        Phase.GRACE: ("warn", _("A payment failed. %(plan)s stays until %(at)s; then the Free plan applies.")),
        Phase.LAPSED: ("bad", _("A payment is missing, so %(plan)s has ended. Pay the open invoice to get it back.")),
        Phase.UNPAID: ("bad", _("A payment is missing, so %(plan)s has ended. Pay the open invoice to get it back.")),
        Phase.INCOMPLETE: ("warn", _("The first payment for %(plan)s is not finished yet.")),
        Phase.PAUSED: ("warn", _("%(plan)s is paused. Add a way to pay to go on.")),
        Phase.ENDING: ("", _("%(plan)s is cancelled and ends on %(at)s. Nothing is deleted.")),
    }
    if due.phase not in words:
        return None
    tone, text = words[due.phase]
    at = f"{due.until:%Y-%m-%d %H:%M} UTC" if due.until else ""
    return Notice(tone, text % {"plan": plan, "at": at}, due.until)


def banner_notice(viewer: Viewer | None) -> Notice | None:
    """The notice for the frame of every page: only what costs the viewer's organization its plan."""
    if viewer is None or viewer.organization_id is None or not enabled():
        return None
    found = notice_of(Subscription.objects.filter(organization_id=viewer.organization_id).first())
    return found if found and found.tone else None
