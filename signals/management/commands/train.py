"""`manage.py train`: train the panel on stored candles."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime
from rich.console import Console
from rich.progress import Progress

from lib.errors import CandorError
from markets.models import Venue
from markets.runs import current_run
from models_ml.models import AgentVersion, ModelVersion, TrainingRun
from models_ml.profiles import PROFILES, profile_of
from models_ml.training import train
from models_ml.voters import LOCAL_SEATS
from signals.scoring import panel_score
from signals.sizing_record import recorded


class Command(BaseCommand):
    """Train local voters; the first takes an empty seat, any other is put to a registered test."""

    help = "Train the panel on the stored candles of one venue."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to train, on what, until when."""
        parser.add_argument("--profile", default="quick", choices=sorted(PROFILES))
        parser.add_argument("--venue", default="", help="venue key; the current market by default")
        parser.add_argument("--until", default="", help="ISO time of the last candle to learn from")
        parser.add_argument("--instruments", nargs="*", default=[], help="symbols; all followed ones by default")
        parser.add_argument("--seats", nargs="*", default=list(LOCAL_SEATS), choices=LOCAL_SEATS, help="voters")
        parser.add_argument("--kind", default=ModelVersion.Kind.FULL, choices=ModelVersion.Kind.values)
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Train and report each voter's validation figures."""
        venue = _venue(options["venue"])
        until = parse_datetime(options["until"]) if options["until"] else None
        if options["until"] and (until is None or until.tzinfo is None):
            raise CommandError(f"--until {options['until']!r} is no time: use 2025-05-20T12:00:00Z")
        with Progress(console=Console(stderr=True), disable=options["as_json"]) as bar:
            task = bar.add_task("starting", total=None)

            def say(run: TrainingRun) -> None:
                bar.update(task, description=run.voter or "starting", completed=run.done, total=run.total or None)

            try:
                run = train(
                    venue,
                    profile=profile_of(options["profile"]),
                    score=panel_score,
                    recorded=recorded,
                    until=until,
                    symbols=options["instruments"],
                    seats=options["seats"],
                    kind=options["kind"],
                    seed=options["seed"],
                    say=say,
                )
            except CandorError as error:
                raise CommandError(str(error)) from error
        self._report(venue, run, as_json=options["as_json"])

    def _report(self, venue: Venue, run: TrainingRun, *, as_json: bool) -> None:
        versions = ModelVersion.objects.filter(venue=venue, trained_at__gte=run.started_at).order_by(
            "market_class", "id"
        )
        fits = AgentVersion.objects.filter(venue=venue, trained_at__gte=run.started_at).order_by("market_class", "id")
        agents = [{"class": fit.market_class, "agent": fit.agent, **fit.metrics} for fit in fits]
        rows = [{"class": v.market_class, "voter": v.voter, "threshold": v.threshold, **v.metrics} for v in versions]
        if as_json:
            found = {"venue": venue.key, "profile": run.profile, "voters": rows, "agents": agents, "detail": run.detail}
            self.stdout.write(json.dumps(found))
            return
        for row in rows:
            later = row.get("later", {})  # minutes that neither the fit nor its threshold ever met
            auc = "n/a" if later.get("auc") is None else f"{later['auc']:.3f}"
            self.stdout.write(f"{row['class']:8} {row['voter']:14} later minutes n={later.get('n')} auc={auc}")
        for row in agents:
            figures = ", ".join(
                f"{name} {_figure(value)}" for name, value in row.items() if name not in {"class", "agent"}
            )
            self.stdout.write(f"{row['class']:8} {row['agent']:14} {figures}")
        if run.detail:
            self.stdout.write(run.detail)


def _venue(key: str) -> Venue:
    if key:
        found = Venue.objects.filter(key=key).first()
        if found is None:
            known = ", ".join(Venue.objects.values_list("key", flat=True)) or "none yet"
            raise CommandError(f"no venue {key!r}: known are {known}")
        return found
    run = current_run()
    if run is None:
        raise CommandError("no market yet: name one with --venue, or start `make run` first")
    return run.venue


def _figure(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "n/a" if value is None else str(value)
