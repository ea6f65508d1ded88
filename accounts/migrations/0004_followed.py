import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_tenancy")]

    operations = [
        migrations.AddField(
            model_name="organization",
            name="followed",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(),
                blank=True,
                default=list,
                editable=False,
                help_text="Ids in the order of choice, over all markets; none of a market: its first ones",
                size=None,
                verbose_name="followed instruments",
            ),
        ),
    ]
