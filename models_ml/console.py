"""The operator's acts on models as pages: previewed, confirmed by the seat's name, recorded, and undone."""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.dangerous import Danger, confirm
from accounts.errors import ConsoleError
from accounts.forms import DangerForm
from accounts.models import User
from accounts.pages import user_of
from lib.errors import CandorError
from models_ml import operating
from models_ml.models import ModelVersion
from models_ml.promotion import seat_of

Act = Callable[[ModelVersion, User], object]


@dataclass(frozen=True, slots=True)
class Words:
    """Title, effects and the way back of an act."""

    title: str
    effects: list[str]
    undo: str


def act_page(request: HttpRequest, object_id: int, act: str) -> HttpResponse:
    """Confirm one of `ACTS` on a model or its seat."""
    version = get_object_or_404(ModelVersion.objects.select_related("venue"), pk=object_id)
    perform, words_of = ACTS[act]
    words, operator = words_of(version), user_of(request)

    def do(_values: dict[str, str]) -> None:
        try:
            perform(version, operator)
        except CandorError as error:
            raise ConsoleError(str(error)) from error

    back = reverse("admin:models_ml_modelversion_change", args=[version.pk])
    form = DangerForm(name_of(version), request.POST if request.method == "POST" else None)
    return confirm(request, Danger(words.title, words.effects, words.undo, back, do), form)


def name_of(version: ModelVersion) -> str:
    """What is typed to confirm: `xgb crypto@binance`."""
    return f"{version.voter} {version.market_class}@{version.venue.key}"


def _promote_words(version: ModelVersion) -> Words:
    effects = [
        _("%(model)s votes in every round from the next minute on.") % {"model": version},
        _("Refused unless its registered test is won against the present champion."),
    ]
    return Words(_("Promote this model"), effects, _("Roll the seat back on the new champion's page."))


def _roll_back_words(version: ModelVersion) -> Words:
    effects = [
        _("%(model)s votes again in every round from the next minute on.") % {"model": version},
        _("The present champion is retired; its files are kept."),
    ]
    return Words(_("Roll back to this model"), effects, _("Roll back to the other one on its page."))


def _mute_words(version: ModelVersion) -> Words:
    effects = [
        _("%(voter)s abstains as “muted” in every round; the quorum stays as it is.") % {"voter": version.voter},
        _("Everybody sees the abstention and its reason."),
    ]
    return Words(_("Mute this voter"), effects, _("Unmute it on the same page; a promotion lifts it as well."))


def _unmute_words(version: ModelVersion) -> Words:
    effects = [_("%(voter)s votes again from the next minute on.") % {"voter": version.voter}]
    return Words(_("Unmute this voter"), effects, _("Mute it again on the same page."))


def _retrain_words(version: ModelVersion) -> Words:
    effects = [
        _("A worker trains %(voter)s on the newest candles, at the lowest priority.") % {"voter": version.voter},
        _("What comes of it is a candidate: it votes only once it has won its registered test."),
    ]
    return Words(_("Retrain this voter"), effects, _("Nothing changes until the test is won."))


ACTS: dict[str, tuple[Act, Callable[[ModelVersion], Words]]] = {
    "promote": (operating.promote, _promote_words),
    "roll-back": (lambda version, user: operating.roll_back(seat_of(version), user, to=version), _roll_back_words),
    "mute": (lambda version, user: operating.mute(seat_of(version), user), _mute_words),
    "unmute": (lambda version, user: operating.unmute(seat_of(version), user), _unmute_words),
    "retrain": (operating.retrain, _retrain_words),
}
"""Name of the act → what does it, and its words."""
