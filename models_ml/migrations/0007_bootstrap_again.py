"""A chair may be taken without a test whenever who sat down last learned from other columns, however often that is."""

from django.db import migrations

GUARD = """
CREATE OR REPLACE FUNCTION candor_guard_promotion() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE model models_ml_modelversion; present bigint; test models_ml_challenge; won boolean;
BEGIN
  SELECT * INTO model FROM models_ml_modelversion v WHERE v.id = NEW.version_id;
  IF (model.venue_id, model.market_class, model.voter, model.features_hash)
     IS DISTINCT FROM (NEW.venue_id, NEW.market_class, NEW.voter, NEW.features_hash) THEN
    RAISE EXCEPTION 'model % belongs to another seat', NEW.version_id USING ERRCODE = 'check_violation';
  END IF;
  SELECT v.id INTO present FROM models_ml_modelversion v WHERE v.venue_id = NEW.venue_id
    AND v.market_class = NEW.market_class AND v.voter = NEW.voter AND v.state = 'champion';
  IF NEW.before_id IS DISTINCT FROM present OR NEW.version_id IS NOT DISTINCT FROM present THEN
    RAISE EXCEPTION 'model % does not take the place of the present champion', NEW.version_id
      USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.kind = 'bootstrap' AND {taken} THEN
    RAISE EXCEPTION 'model % finds its seat taken: register a test', NEW.version_id USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.kind = 'won' THEN
    SELECT c.* INTO test FROM models_ml_challenge c WHERE c.id = NEW.verdict_id;
    SELECT v.won INTO won FROM models_ml_verdict v WHERE v.challenge_id = NEW.verdict_id;
    IF test.candidate_id <> NEW.version_id OR NOT won
       OR test.champion_id IS DISTINCT FROM present THEN
      RAISE EXCEPTION 'model % has won no test against the present champion', NEW.version_id
        USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  IF NEW.kind = 'rollback' AND NOT EXISTS (SELECT 1 FROM models_ml_promotion p WHERE p.version_id = NEW.version_id) THEN
    RAISE EXCEPTION 'model % was never champion: nothing to roll back to', NEW.version_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
"""
LAST_OF_THESE_COLUMNS = """NEW.features_hash = (
    SELECT p.features_hash FROM models_ml_promotion p WHERE p.venue_id = NEW.venue_id
      AND p.market_class = NEW.market_class AND p.voter = NEW.voter ORDER BY p.id DESC LIMIT 1)"""
"""Also where nobody is called champion any more: promotions are for ever, so a chair cannot be emptied to be taken."""
PRESENT_OF_THESE_COLUMNS = """EXISTS (
    SELECT 1 FROM models_ml_modelversion v WHERE v.id = present AND v.features_hash = NEW.features_hash)"""


class Migration(migrations.Migration):
    dependencies = [("models_ml", "0006_agents")]

    operations = [
        migrations.RunSQL(GUARD.format(taken=LAST_OF_THESE_COLUMNS), GUARD.format(taken=PRESENT_OF_THESE_COLUMNS)),
        migrations.RemoveConstraint("promotion", "one_bootstrap"),
    ]
