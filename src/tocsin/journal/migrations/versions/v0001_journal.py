"""The journal as it began: tip, events, claims, and what guards them."""

import sqlalchemy as sa
from alembic import op

from tocsin.model.errors import Refused

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_GUARDS = """
CREATE FUNCTION guard_tip() RETURNS trigger LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF NEW.one <> OLD.one OR NEW.sequence < OLD.sequence OR NEW.recorded_at < OLD.recorded_at
        OR NEW.term < OLD.term OR (NEW.beats < OLD.beats AND NEW.beats <> -1)
    THEN
        RAISE EXCEPTION 'the tip never goes back';
    END IF;
    IF OLD.beats = -1 THEN
        RAISE EXCEPTION 'the journal goes on elsewhere';
    END IF;
    IF NEW.sequence = OLD.sequence AND (NEW.digest, NEW.recorded_at) IS DISTINCT FROM (OLD.digest, OLD.recorded_at) THEN
        RAISE EXCEPTION 'the tip is that of its event';
    END IF;
    IF NEW.sequence > OLD.sequence AND NOT EXISTS (
        SELECT 1 FROM event WHERE (sequence, digest, recorded_at) = (NEW.sequence, NEW.digest, NEW.recorded_at)
    ) THEN
        RAISE EXCEPTION 'the tip moves to an event that is there';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER guard_tip BEFORE UPDATE ON tip FOR EACH ROW EXECUTE FUNCTION guard_tip();

CREATE FUNCTION guard_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.content IS NOT NULL OR (
        NEW.sequence, NEW.recorded_at, NEW.kind, NEW.body, NEW.content_digest, NEW.claims, NEW.digest
    ) IS DISTINCT FROM (
        OLD.sequence, OLD.recorded_at, OLD.kind, OLD.body, OLD.content_digest, OLD.claims, OLD.digest
    ) THEN
        RAISE EXCEPTION 'of an event only the content is ever erased';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER guard_event BEFORE UPDATE ON event FOR EACH ROW EXECUTE FUNCTION guard_event();

CREATE FUNCTION guard_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what is recorded is kept';
END $$;

CREATE TRIGGER guard_kept BEFORE DELETE OR TRUNCATE ON event FOR EACH STATEMENT EXECUTE FUNCTION guard_kept();
CREATE TRIGGER guard_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON claim FOR EACH STATEMENT EXECUTE FUNCTION guard_kept();
CREATE TRIGGER guard_kept BEFORE DELETE OR TRUNCATE ON tip FOR EACH STATEMENT EXECUTE FUNCTION guard_kept();

CREATE FUNCTION erase_content(day bytea, after bigint, until bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE erased bigint;
BEGIN
    UPDATE event SET content = NULL
    WHERE sequence > after AND sequence <= until AND substring(content FROM 1 FOR 4) = day;
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END $$;

REVOKE ALL ON FUNCTION erase_content(bytea, bigint, bigint) FROM PUBLIC;
"""
"""The owner of the tables is bound as well, short of dropping a guard. `erase_content` runs with the owner's rights, so
that whoever erases needs no other. Temporary tables are looked up last: of itself PostgreSQL would take them first, and
whoever makes one named `event` would hand the owner's rights to a trigger of its own."""


def upgrade() -> None:
    op.create_table(
        "tip",
        sa.Column("one", sa.SmallInteger, sa.CheckConstraint("one = 1"), primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        sa.Column("beats", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "event",
        sa.Column("sequence", sa.BigInteger, sa.CheckConstraint("sequence > 0"), primary_key=True, autoincrement=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.LargeBinary),
        sa.Column("content_digest", sa.LargeBinary, nullable=False),
        sa.Column("claims", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "claim",
        sa.Column("claim", sa.LargeBinary, sa.CheckConstraint("octet_length(claim) = 33"), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO tip VALUES (1, 0, decode(repeat('00', 32), 'hex'), 0, 1, 0)")
    op.execute(_GUARDS.format(schema=op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar()))


def downgrade() -> None:
    if op.get_bind().execute(sa.text("SELECT EXISTS (SELECT 1 FROM event)")).scalar():
        raise Refused(
            "journal_not_empty",
            "The way back from the journal's first schema leaves nothing, and there are events in it: copy the journal"
            " elsewhere; then drop the database if that is meant.",
        )
    op.execute("DROP FUNCTION erase_content(bytea, bigint, bigint)")
    for table in ("claim", "event", "tip"):
        op.drop_table(table)
    for guard in ("guard_tip", "guard_event", "guard_kept"):
        op.execute(f"DROP FUNCTION {guard}()")
