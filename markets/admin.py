"""The operator's view of markets: venues and their terms, what is followed, how feeds, data and words do."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from markets.intelligence import FEEDS
from markets.intelligence.polling import SHORTEST_S
from markets.models import (
    CalendarEvent,
    DayQuality,
    FeedState,
    Headline,
    Instrument,
    Refusal,
    Run,
    SentimentIndex,
    Venue,
    WordFeed,
)
from markets.quality import GOAL


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Rows that the platform writes and operators look at."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False


@admin.register(Venue)
class VenueAdmin(ReadOnlyAdmin):
    """Where candles come from, what each can deliver and on which terms."""

    list_display = ("title", "key", "kind", "offers", "terms", "licence", "created_at")
    list_filter = ("kind",)
    search_fields = ("key", "title")
    fields = ("key", "title", "kind", "adapter", "offers", "terms", "licence", "redistribution", "limits", "created_at")
    readonly_fields = fields

    @admin.display(description="Capabilities")
    def offers(self, venue: Venue) -> str:
        """Comma-separated."""
        return ", ".join(word.replace("_", " ") for word in venue.capabilities)

    @admin.display(description="Terms")
    def terms(self, venue: Venue) -> str:
        """A link, or a dash where nobody's terms apply."""
        if not venue.terms_url:
            return "–"
        return format_html('<a href="{}" rel="noreferrer noopener">{}</a>', venue.terms_url, "terms of use")


@admin.register(Instrument)
class InstrumentAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """A venue's whole market; the tick says what is fed, decided and shown. The feed takes changes on by itself."""

    list_display = ("symbol", "venue", "market_class", "quote", "calendar", "tick_size", "followed")
    list_editable = ("followed",)
    list_filter = ("followed", "venue", "market_class", "quote")
    search_fields = ("symbol", "raw_symbol", "base")
    list_select_related = ("venue",)
    fields = ("venue", "raw_symbol", "symbol", "base", "quote", "market_class", "tick_size", "calendar", "followed")
    readonly_fields = ("venue", "raw_symbol", "symbol", "base", "quote", "market_class", "tick_size", "calendar")
    ordering = ("-followed", "symbol")
    actions = ("follow", "unfollow")

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never: `manage.py sync_instruments` lists a venue's market."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never: candles, rounds and the record name instruments by their row."""
        return False

    @admin.action(description="Follow")
    def follow(self, request: HttpRequest, queryset: QuerySet[Instrument]) -> None:
        """Tick the chosen ones."""
        self.message_user(request, f"{queryset.update(followed=True)} instruments are followed")

    @admin.action(description="Do not follow any more")
    def unfollow(self, request: HttpRequest, queryset: QuerySet[Instrument]) -> None:
        """Untick them; what was recorded stays."""
        self.message_user(request, f"{queryset.update(followed=False)} instruments are not followed any more")


@admin.register(FeedState)
class FeedStateAdmin(ReadOnlyAdmin):
    """Whether each feed is live, delayed or down, since when, and why."""

    list_display = ("series", "venue", "state", "since", "last_message_at", "reconnects", "skew_s", "detail")
    list_filter = ("state", "venue")
    list_select_related = ("venue", "instrument")
    ordering = ("venue", "instrument")

    @admin.display(description="Series")
    def series(self, row: FeedState) -> str:
        """The instrument, or the connection as a whole."""
        return row.instrument.symbol if row.instrument else "connection"


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """Every stretch of a feed."""

    list_display = ("venue", "state", "started_at", "ended_at", "speed", "speed_reached", "market_at", "beat_at")
    list_filter = ("state",)
    list_select_related = ("venue",)
    ordering = ("-started_at",)


@admin.register(Refusal)
class RefusalAdmin(ReadOnlyAdmin):
    """Refused candles by day and reason, with the last one as it came."""

    list_display = ("day", "instrument", "reason", "count", "sample")
    list_filter = ("reason", "day")
    list_select_related = ("instrument__venue",)
    ordering = ("-day", "-count")


@admin.register(DayQuality)
class DayQualityAdmin(ReadOnlyAdmin):
    """Due candles of a day and the share that was on time and untainted."""

    list_display = ("day", "instrument", "due", "good", "share", "reaches_goal")
    list_filter = ("day",)
    list_select_related = ("instrument__venue",)
    ordering = ("-day", "instrument")

    @admin.display(description="Score")
    def share(self, row: DayQuality) -> str:
        """In percent."""
        return "–" if row.score is None else f"{row.score:.2%}"

    @admin.display(description=f"≥ {GOAL:.1%}", boolean=True)
    def reaches_goal(self, row: DayQuality) -> bool | None:
        """Whether the day reached what a day should reach."""
        return None if row.score is None else row.score >= GOAL


class WordFeedForm(forms.ModelForm):  # type: ignore[type-arg]  # its model is named below
    """A feed that can be polled: a known adapter, options that are an object, not more often than once a minute."""

    adapter = forms.ChoiceField(choices=[(key, key.replace("_", " ")) for key in FEEDS])
    url = forms.URLField(
        max_length=500,
        assume_scheme="https",
        validators=[URLValidator(schemes=["http", "https"])],
        help_text="Seen by operators only: it may hold a key",
    )
    every_s = forms.IntegerField(min_value=SHORTEST_S, initial=300, help_text="Seconds between two polls")

    class Meta:
        model = WordFeed
        fields = ("name", "adapter", "url", "options", "every_s", "enabled")

    def clean_options(self) -> dict[str, Any]:
        """An empty field is no options."""
        options = self.cleaned_data["options"] or {}
        if not isinstance(options, dict):
            raise ValidationError('Write options as an object: {"items": "articles"}')
        return options


@admin.register(WordFeed)
class WordFeedAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Where headlines, events and indexes are polled from, and how that goes."""

    form = WordFeedForm
    list_display = ("name", "adapter", "enabled", "every_s", "state", "polled_at", "ok_at", "detail")
    list_filter = ("enabled", "adapter")
    readonly_fields = ("polled_at", "ok_at", "failures", "detail")
    fields: ClassVar[tuple[str, ...]] = (*WordFeedForm.Meta.fields, *readonly_fields)
    ordering = ("name",)

    @admin.display(description="State")
    def state(self, feed: WordFeed) -> str:
        """In a word."""
        if not feed.enabled:
            return "off"
        if feed.failures:
            return f"failing, {feed.failures} in a row"
        return "works" if feed.ok_at else "not polled yet"

    def save_model(self, request: HttpRequest, obj: WordFeed, form: WordFeedForm, change: bool) -> None:
        """A feed that now reads something else is polled anew, from its beginning."""
        before = WordFeed.objects.filter(pk=obj.pk).values_list("adapter", "url", "options").first()
        if before != (obj.adapter, obj.url, obj.options):
            obj.etag, obj.modified, obj.polled_at, obj.failures, obj.detail = "", "", None, 0, ""
        super().save_model(request, obj, form, change)


@admin.register(Headline)
class HeadlineAdmin(ReadOnlyAdmin):
    """What was read, of which assets it speaks, and when it became known. A wrong one may be deleted."""

    list_display: ClassVar[tuple[str, ...]] = ("observed_at", "title", "about", "source", "language", "published_at")
    list_filter: ClassVar[tuple[str, ...]] = ("source", "language")
    search_fields = ("title", "source")
    date_hierarchy = "observed_at"
    ordering: ClassVar[tuple[str, ...]] = ("-observed_at",)
    show_full_result_count = False

    @admin.display(description="About")
    def about(self, headline: Headline) -> str:
        """Comma-separated."""
        return ", ".join(headline.subjects) or "–"

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """As for any row: a feed may carry what must not stay."""
        return bool(ModelAdmin.has_delete_permission(self, request, obj))


@admin.register(CalendarEvent)
class CalendarEventAdmin(HeadlineAdmin):
    """Scheduled events; around those of high impact nothing is said."""

    list_display = ("time", "currency", "impact", "title", "source", "observed_at")
    list_filter = ("impact", "currency", "source")
    search_fields = ("title", "currency")
    date_hierarchy = "time"
    ordering = ("-time",)


@admin.register(SentimentIndex)
class SentimentIndexAdmin(ReadOnlyAdmin):
    """Daily values of indexes of mood."""

    list_display = ("day", "key", "value", "known_at", "observed_at")
    list_filter = ("key",)
    ordering = ("-day", "key")
