"""What Alembic runs to bind the migrations to the connection that `tocsin.journal.postgres_schema` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
