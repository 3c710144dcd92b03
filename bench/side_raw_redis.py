"""redis-py with nothing around it, and the scripts of the Redis store."""

import os

from redis import Redis
from redis.commands.core import Script

from bench.raw import Raw, main
from stoker.plan import Reply, Statement
from stoker.stores.redis import RedisStore

client = Redis.from_url(os.environ["BENCH_URL"])
scripts: dict[str, Script] = {}


def execute(statement: Statement) -> Reply:
    script = scripts.get(statement.text)
    if script is None:
        script = scripts[statement.text] = client.register_script(statement.text)
    tag, *arguments = statement.params
    return Reply([(script([tag], arguments),)], 0)


if __name__ == "__main__":
    main(Raw("redis-py", RedisStore(), execute))
