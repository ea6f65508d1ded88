import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("signals", "0002_push_event_by_instant"),
    ]

    operations = [
        migrations.AddField(
            model_name="round",
            name="lens_directions",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.SmallIntegerField(),
                db_default=[],
                default=list,
                help_text="Of the five lenses, in LENS_KEYS order",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="round",
            name="lens_reasons",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.TextField(),
                db_default=[],
                default=list,
                help_text="What each of them said then",
                size=None,
            ),
        ),
    ]
