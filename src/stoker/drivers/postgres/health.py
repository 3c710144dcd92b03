"""Whether a PostgreSQL server, and what is around it, are in order. Looks, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import psycopg
from psycopg import Connection

from stoker.drivers.driver import Finding
from stoker.drivers.postgres.pool import Terms

_LEAST_VERSION: Final = 140000
_LONG: Final = 300
"""Seconds after which a transaction is a long one: what was deleted or changed since it began cannot be cleaned up."""
_FEW: Final = 5
"""Connections that should be left."""

_SERVER: Final = """
    SELECT current_setting('server_version'), current_setting('server_version_num')::integer,
        current_setting('synchronous_commit'), current_setting('fsync'), current_setting('server_encoding'),
        pg_is_in_recovery()
"""
_RIGHTS: Final = """
    SELECT to_regnamespace(%(schema)s) IS NOT NULL,
        CASE WHEN to_regnamespace(%(schema)s) IS NOT NULL THEN has_schema_privilege(%(schema)s, 'USAGE') END,
        has_database_privilege(current_database(), 'CREATE'), current_user::text, current_database()::text
"""
_TABLES: Final = """
    SELECT c.relname::text,
        has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
            AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'),
        coalesce(s.n_live_tup, 0), coalesce(s.n_dead_tup, 0), s.last_autovacuum::text,
        pg_size_pretty(pg_total_relation_size(c.oid))
    FROM pg_class AS c LEFT JOIN pg_stat_user_tables AS s ON s.relid = c.oid
    WHERE c.relnamespace = to_regnamespace(%(schema)s) AND c.relkind = 'r' ORDER BY c.relname
"""
_OTHERS: Final = """
    SELECT (SELECT count(*) FROM pg_stat_activity), current_setting('max_connections')::integer,
        (SELECT count(*) FROM pg_stat_activity
         WHERE backend_xmin IS NOT NULL AND xact_start < now() - make_interval(secs => %(long)s)),
        (SELECT extract(epoch FROM max(now() - xact_start))::bigint FROM pg_stat_activity
         WHERE backend_xmin IS NOT NULL),
        (SELECT count(*) FROM pg_prepared_xacts), current_setting('autovacuum')
"""


def examine(
    terms: Terms, schema: str, translated: Callable[[Exception], BaseException], *, listens: bool
) -> list[Finding]:
    """Every finding about the server and the schema."""
    try:
        with Connection.connect(**terms.arguments) as connection:
            return list(_inside(connection, schema, listens=listens))
    except Exception as error:  # noqa: BLE001 - what is wrong is a finding
        return [Finding("server", str(translated(error)), "see the message; until then no job is enqueued or run")]


def _inside(connection: Connection, schema: str, *, listens: bool) -> Iterator[Finding]:
    yield from _server(connection)
    yield from _rights(connection, schema)
    yield from _tables(connection, schema)
    yield from _others(connection)
    yield _hearing(connection) if listens else Finding("wake-ups", "listen=no: workers look four times a second")


def _ask(connection: Connection, text: str, **params: Any) -> list[tuple[Any, ...]]:
    return connection.execute(text.encode(), params or None).fetchall()


def _server(connection: Connection) -> Iterator[Finding]:
    ((version, number, commit, fsync, encoding, standby),) = _ask(connection, _SERVER)
    old = "Stoker needs PostgreSQL 14 or newer" if number < _LEAST_VERSION else None
    yield Finding("server", f"PostgreSQL {version}", old)
    detail = f"synchronous_commit={commit}, fsync={fsync}"
    if fsync != "on":
        yield Finding("durability", detail, "a power failure may destroy the database: set fsync = on", grave=False)
    elif commit == "off":
        yield Finding(
            "durability",
            detail,
            "a crash of the server may take the last moments: set synchronous_commit = on",
            grave=False,
        )
    else:
        yield Finding("durability", detail)
    if encoding != "UTF8":
        yield Finding("encoding", encoding, "texts of all languages need a database with the encoding UTF8")
    if standby:
        yield Finding("role", "a standby, read-only", "the URL must name the primary")


def _rights(connection: Connection, schema: str) -> Iterator[Finding]:
    ((there, usable, may_create, user, database),) = _ask(connection, _RIGHTS, schema=schema)
    if not there and not may_create:
        advice = f'GRANT CREATE ON DATABASE "{database}" TO "{user}", or let an administrator run stoker migrate'
        yield Finding("schema", f"{schema} does not exist, and {user} may not make it", advice)
    elif there and not usable:
        yield Finding("schema", f"{user} may not use {schema}", f'GRANT USAGE ON SCHEMA {schema} TO "{user}"')


def _tables(connection: Connection, schema: str) -> Iterator[Finding]:
    for name, allowed, live, dead, cleaned, size in _ask(connection, _TABLES, schema=schema):
        if not allowed:
            advice = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO the user"
            yield Finding(f"table {name}", "may not be read or written", advice)
        if name == "jobs":
            swollen = dead > max(live, 1_000_000)
            yield Finding(
                "table jobs",
                f"about {live:,} rows, {dead:,} dead, {size}, cleaned by autovacuum: {cleaned or 'not yet'}",
                "many dead rows: is a transaction open for long, or autovacuum off or too slow?" if swollen else None,
                grave=False,
            )


def _others(connection: Connection) -> Iterator[Finding]:
    ((used, most, long, longest, prepared, autovacuum),) = _ask(connection, _OTHERS, long=_LONG)
    full = "raise max_connections, lower pool_size, or put a pooler in between" if most - used < _FEW else None
    yield Finding("connections", f"{used} of {most} in use", full)
    if long:
        yield Finding(
            "transactions",
            f"{long} open for more than {_LONG // 60} minutes, the longest for {longest // 60}",
            "while they are open nothing can be cleaned up and claims get slower: see pg_stat_activity, end them",
            grave=False,
        )
    if prepared:
        yield Finding(
            "transactions",
            f"{prepared} prepared and left",
            "see pg_prepared_xacts; commit or roll them back",
            grave=False,
        )
    if autovacuum != "on":
        yield Finding("autovacuum", "off", "set autovacuum = on, or the tables grow without end", grave=False)


def _hearing(connection: Connection) -> Finding:
    advice = "a pooler in transaction mode is in between: add listen=no to the URL, and prepare=no if statements fail"
    try:
        connection.execute("LISTEN stoker_doctor")
        connection.execute("NOTIFY stoker_doctor")
        heard = any(True for _ in connection.notifies(timeout=2.0, stop_after=1))
    except psycopg.Error as error:
        return Finding("wake-ups", f"LISTEN failed: {error}", advice)
    return Finding("wake-ups", "heard" if heard else "not heard", None if heard else advice)
