from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="organization",
            name="requires_mfa",
            field=models.BooleanField(default=False, verbose_name="asks every member for a second factor"),
        ),
    ]
