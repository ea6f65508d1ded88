"""Tables of Optuna 5's storage, so that any number of workers tune together and the application's role owns none.

Optuna would create them itself, as the role it connects with; that one may not create tables. A test holds them against
what the installed Optuna wants (`tests/models_ml/test_tuning.py`).
"""

from django.db import migrations

TYPES = {
    "studydirection": ("NOT_SET", "MINIMIZE", "MAXIMIZE"),
    "trialstate": ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING"),
    "trialvaluetype": ("FINITE", "INF_POS", "INF_NEG"),
    "trialintermediatevaluetype": ("FINITE", "INF_POS", "INF_NEG", "NAN"),
}
ATTRIBUTES = (
    "{key} serial PRIMARY KEY, {of}_id integer REFERENCES {ofs} ({of}_id), key varchar(512), value_json text,"
    " UNIQUE ({of}_id, key)"
)
TABLES = {
    "alembic_version": "version_num varchar(32) PRIMARY KEY",
    "studies": "study_id serial PRIMARY KEY, study_name varchar(512) NOT NULL",
    "version_info": "version_info_id integer PRIMARY KEY CHECK (version_info_id = 1), schema_version integer,"
    " library_version varchar(256)",
    "study_directions": "study_direction_id serial PRIMARY KEY, direction studydirection NOT NULL,"
    " study_id integer NOT NULL REFERENCES studies (study_id), objective integer NOT NULL,"
    " UNIQUE (study_id, objective)",
    "study_system_attributes": ATTRIBUTES.format(key="study_system_attribute_id", of="study", ofs="studies"),
    "study_user_attributes": ATTRIBUTES.format(key="study_user_attribute_id", of="study", ofs="studies"),
    "trials": "trial_id serial PRIMARY KEY, number integer, study_id integer REFERENCES studies (study_id),"
    " state trialstate NOT NULL, datetime_start timestamp, datetime_complete timestamp",
    "trial_heartbeats": "trial_heartbeat_id serial PRIMARY KEY,"
    " trial_id integer NOT NULL UNIQUE REFERENCES trials (trial_id), heartbeat timestamp NOT NULL",
    "trial_intermediate_values": "trial_intermediate_value_id serial PRIMARY KEY,"
    " trial_id integer NOT NULL REFERENCES trials (trial_id), step integer NOT NULL,"
    " intermediate_value double precision, intermediate_value_type trialintermediatevaluetype NOT NULL,"
    " UNIQUE (trial_id, step)",
    "trial_params": "param_id serial PRIMARY KEY, trial_id integer REFERENCES trials (trial_id),"
    " param_name varchar(512), param_value double precision, distribution_json text, UNIQUE (trial_id, param_name)",
    "trial_system_attributes": ATTRIBUTES.format(key="trial_system_attribute_id", of="trial", ofs="trials"),
    "trial_user_attributes": ATTRIBUTES.format(key="trial_user_attribute_id", of="trial", ofs="trials"),
    "trial_values": "trial_value_id serial PRIMARY KEY, trial_id integer NOT NULL REFERENCES trials (trial_id),"
    " objective integer NOT NULL, value double precision, value_type trialvaluetype NOT NULL,"
    " UNIQUE (trial_id, objective)",
}
UP = [
    *(f"CREATE TYPE {name} AS ENUM ({', '.join(map(repr, values))})" for name, values in TYPES.items()),
    *(f"CREATE TABLE {name} ({columns})" for name, columns in TABLES.items()),
    "CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name)",
    "CREATE INDEX ix_trials_study_id ON trials (study_id)",
]
DOWN = [*(f"DROP TABLE {name}" for name in reversed(TABLES)), *(f"DROP TYPE {name}" for name in TYPES)]


class Migration(migrations.Migration):
    dependencies = [("models_ml", "0003_promotion")]

    operations = [migrations.RunSQL(UP, DOWN)]
