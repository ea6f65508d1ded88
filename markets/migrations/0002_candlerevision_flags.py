"""A replaced candle keeps its source and flags, so that a window as it was known then has the taint it had then."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("markets", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="candlerevision",
            name="source",
            field=models.SmallIntegerField(
                default=0, db_default=0, help_text="markets.candles.Source of the replaced values"
            ),
        ),
        migrations.AddField(
            model_name="candlerevision",
            name="flags",
            field=models.SmallIntegerField(
                default=0, db_default=0, help_text="markets.values.TaintFlag of the replaced values"
            ),
        ),
    ]
