-- The three roles of a journal in PostgreSQL: what a user may do is what its role may do, and no more.
-- Run it as the owner of the journal's tables, who may make roles, after `tocsin init` and after each
-- `tocsin journal migrate`:
--
--     psql 'postgresql://OWNER@HOST/DATABASE' --set ON_ERROR_STOP=1 --file roles.sql
--
-- It may be run again. Roles are the whole server's: another database's journal shares their names, not their rights.
--
--     append  adds events with their claims, and moves the tip: tocsin serve, publish, and all acts of people
--     erase   nulls the content of a day, by the one function that can: whoever runs the retention
--     read    reads: auditors, the archive, a copy
--
-- Servers that do all of it are given append and erase. Nobody is given UPDATE or DELETE of events.

BEGIN;  -- at no moment has a running server fewer rights

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['tocsin_append', 'tocsin_erase', 'tocsin_read'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role);
        EXECUTE format('REVOKE ALL ON tip, event, claim, alembic_version FROM %I', role);
        EXECUTE format('GRANT SELECT ON tip, event, claim, alembic_version TO %I', role);
    END LOOP;
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
END $$;

GRANT INSERT ON event, claim TO tocsin_append;
GRANT UPDATE (sequence, digest, recorded_at, beats) ON tip TO tocsin_append;
GRANT EXECUTE ON FUNCTION erase_content(bytea, bigint, bigint) TO tocsin_erase;

COMMIT;
