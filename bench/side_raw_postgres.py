"""psycopg with nothing around it, and the statements of the PostgreSQL store."""

import os

import psycopg

from bench.raw import Raw, main
from stoker.plan import Reply, Statement
from stoker.stores.postgres import PostgresStore

connection = psycopg.connect(os.environ["BENCH_URL"], autocommit=True)


def execute(statement: Statement) -> Reply:
    cursor = connection.execute(statement.text.encode(), statement.params or None)
    return Reply(cursor.fetchall() if cursor.description else [], cursor.rowcount)


if __name__ == "__main__":
    main(Raw("psycopg", PostgresStore(), execute))
