import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import lib.clock
from accounts.scoping import RowLevelSecurity
from lib.postgres import APP_ROLE

ME = "(SELECT nullif(current_setting('app.user', true), ''))::bigint"
HERE = "(SELECT nullif(current_setting('app.organization', true), ''))::bigint"
OPERATOR = "(SELECT nullif(current_setting('app.operator', true), '')) = 'on'"

# An export is its requester's: in any organization they may look for it, and nobody else may.
EXPORTS_FENCE = f"""
ALTER TABLE accounts_dataexport ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY candor_tenant ON accounts_dataexport USING (user_id = {ME} OR {OPERATOR})
WITH CHECK ((user_id = {ME} AND (organization_id IS NULL OR organization_id = {HERE})) OR {OPERATOR});
"""

# What names a person in rows written so far moves out of the part that is for ever.
PSEUDONYMS = """
SELECT set_config('app.operator', 'on', true);
UPDATE accounts_auditentry SET personal = personal || jsonb_strip_nulls(jsonb_build_object(
  'email', details->'email', 'member', details->'member', 'name', details->'name')),
  details = details - 'email' - 'member' - 'name' WHERE details ?| ARRAY['email', 'member', 'name'];
UPDATE accounts_auditentry SET personal = personal || details, details = '{}' WHERE action = 'organization.renamed';
UPDATE accounts_auditentry SET actor = 'user:' || user_id WHERE user_id IS NOT NULL;
"""

CHAIN = f"""
SET CONSTRAINTS ALL IMMEDIATE;  -- what was just rewritten is checked now: a table with checks to come takes no ALTER
ALTER TABLE accounts_auditentry ALTER personal SET DEFAULT '{{}}', ALTER salt SET DEFAULT '',
  ALTER personal_sha256 SET DEFAULT '', ALTER previous SET DEFAULT '', ALTER hash SET DEFAULT '',
  ALTER request_id SET DEFAULT '';
CREATE TABLE accounts_audithead (
  chain bigint PRIMARY KEY, number bigint NOT NULL, hash varchar(64) NOT NULL DEFAULT repeat('0', 64));
REVOKE ALL ON accounts_audithead FROM {APP_ROLE};

CREATE FUNCTION candor_digest(VARIADIC fields text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT encode(sha256(convert_to(string_agg(octet_length(field) || ':' || field || E'\\n', '' ORDER BY place), 'UTF8')), 'hex')
  FROM unnest(fields) WITH ORDINALITY AS f(field, place)
$$;

CREATE FUNCTION candor_audit_link(e accounts_auditentry) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT candor_digest(e.id::text, e.chain::text, e.number::text, e.previous,
    to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), coalesce(e.organization_id::text, ''),
    coalesce(e.user_id::text, ''), e.actor, e.action, e.request_id, e.details::text, e.personal_sha256)
$$;

CREATE FUNCTION candor_audit_chain_rows() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE e accounts_auditentry; before text := coalesce(current_setting('app.operator', true), '');
BEGIN
  PERFORM set_config('app.operator', 'on', true);
  -- Rows without a number are this transaction's own: others' are numbered before they can be seen. Chains are taken
  -- in one order by everybody, so that two commits never wait for each other.
  FOR e IN SELECT * FROM accounts_auditentry WHERE number IS NULL ORDER BY coalesce(organization_id, 0), at, id LOOP
    e.chain := coalesce(e.organization_id, 0);
    INSERT INTO accounts_audithead AS h (chain, number) VALUES (e.chain, 1)
      ON CONFLICT (chain) DO UPDATE SET number = h.number + 1 RETURNING h.number, h.hash INTO e.number, e.previous;
    IF e.ip IS NOT NULL OR e.personal <> '{{}}' THEN
      e.salt := replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
      e.personal_sha256 := candor_digest(e.salt, coalesce(host(e.ip), ''), e.personal::text);
    END IF;
    e.hash := candor_audit_link(e);
    UPDATE accounts_audithead SET hash = e.hash WHERE chain = e.chain;
    UPDATE accounts_auditentry SET chain = e.chain, number = e.number, previous = e.previous, salt = e.salt,
      personal_sha256 = e.personal_sha256, hash = e.hash WHERE id = e.id;
  END LOOP;
  PERFORM set_config('app.operator', before, true);
END $$;
REVOKE ALL ON FUNCTION candor_audit_chain_rows() FROM PUBLIC;
SELECT candor_audit_chain_rows();

CREATE FUNCTION candor_audit_chain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$ BEGIN PERFORM candor_audit_chain_rows(); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER candor_audit_chain AFTER INSERT ON accounts_auditentry
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION candor_audit_chain();

CREATE FUNCTION candor_audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE erasable CONSTANT text[] := ARRAY['ip', 'personal', 'salt'];
BEGIN
  IF TG_OP = 'INSERT' THEN
    NEW.chain := NULL; NEW.number := NULL; NEW.previous := ''; NEW.hash := ''; NEW.salt := ''; NEW.personal_sha256 := '';
    RETURN NEW;
  ELSIF TG_OP = 'UPDATE' THEN
    IF OLD.number IS NULL OR (current_setting('app.operator', true) = 'on' AND NEW.ip IS NULL AND NEW.personal = '{{}}'
      AND NEW.salt = '' AND to_jsonb(NEW) - erasable = to_jsonb(OLD) - erasable) THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'audit entries are append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER candor_audit_guard BEFORE INSERT OR UPDATE OR DELETE ON accounts_auditentry
  FOR EACH ROW EXECUTE FUNCTION candor_audit_guard();
GRANT UPDATE (ip, personal, salt) ON accounts_auditentry TO {APP_ROLE};
GRANT UPDATE (ip) ON accounts_acceptance TO {APP_ROLE};

CREATE FUNCTION candor_audit_heads() RETURNS SETOF accounts_audithead LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp AS $$
  SELECT * FROM accounts_audithead WHERE current_setting('app.operator', true) = 'on'
$$;
REVOKE ALL ON FUNCTION candor_audit_heads() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION candor_audit_heads() TO {APP_ROLE};
"""  # noqa: S608  # constants
CHAIN_DOWN = f"""
REVOKE UPDATE (ip, personal, salt) ON accounts_auditentry FROM {APP_ROLE};
REVOKE UPDATE (ip) ON accounts_acceptance FROM {APP_ROLE};
DROP TRIGGER candor_audit_guard ON accounts_auditentry;
DROP TRIGGER candor_audit_chain ON accounts_auditentry;
DROP FUNCTION candor_audit_guard(), candor_audit_chain(), candor_audit_chain_rows(), candor_audit_heads(),
  candor_audit_link(accounts_auditentry), candor_digest(text[]);
DROP TABLE accounts_audithead;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_identity")]

    operations = [
        migrations.CreateModel(
            name="DataExport",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("asked", "being made"),
                            ("ready", "ready"),
                            ("failed", "failed"),
                            ("gone", "expired"),
                        ],
                        default="asked",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("created_at", models.DateTimeField(default=lib.clock.wall_now, editable=False, verbose_name="asked")),
                ("expires_at", models.DateTimeField(verbose_name="until")),
                ("size", models.BigIntegerField(default=0, verbose_name="bytes")),
                (
                    "organization",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="exports",
                        to="accounts.organization",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="exports",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TenantSecret",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=40, verbose_name="kind")),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                ("sealed", models.TextField(editable=False)),
                (
                    "created_at",
                    models.DateTimeField(default=lib.clock.wall_now, editable=False, verbose_name="created"),
                ),
                ("last_used_at", models.DateTimeField(blank=True, null=True, verbose_name="last used")),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="secrets", to="accounts.organization"
                    ),
                ),
            ],
        ),
        *(
            migrations.AddField("auditentry", name, field)
            for name, field in (
                ("request_id", models.CharField(blank=True, default="", max_length=64, verbose_name="request")),
                ("ip", models.GenericIPAddressField(blank=True, null=True, verbose_name="from")),
                ("personal", models.JSONField(blank=True, default=dict, verbose_name="personal facts")),
                ("salt", models.CharField(blank=True, default="", editable=False, max_length=64)),
                ("personal_sha256", models.CharField(blank=True, default="", editable=False, max_length=64)),
                ("chain", models.BigIntegerField(editable=False, null=True, verbose_name="chain")),
                ("number", models.BigIntegerField(editable=False, null=True, verbose_name="number")),
                ("previous", models.CharField(blank=True, default="", editable=False, max_length=64)),
                (
                    "hash",
                    models.CharField(blank=True, default="", editable=False, max_length=64, verbose_name="hash"),
                ),
            )
        ),
        *(
            migrations.AddField(model, name, models.DateTimeField(editable=False, null=True, verbose_name=label))
            for model in ("organization", "user")
            for name, label in (("erase_at", "to be erased"), ("erased_at", "erased"))
        ),
        migrations.AddIndex(
            "auditentry",
            models.Index(condition=models.Q(("number", None)), fields=["id"], name="accounts_audit_unchained"),
        ),
        migrations.AddConstraint(
            "auditentry", models.UniqueConstraint(fields=("chain", "number"), name="accounts_audit_number")
        ),
        migrations.AddConstraint(
            "tenantsecret",
            models.UniqueConstraint(fields=("organization", "kind", "name"), name="accounts_secret_once"),
        ),
        migrations.RunSQL(EXPORTS_FENCE, migrations.RunSQL.noop),
        RowLevelSecurity("tenantsecret"),
        migrations.RunSQL(PSEUDONYMS, migrations.RunSQL.noop),
        migrations.RunSQL(CHAIN, CHAIN_DOWN),
    ]
