"""Who may do what on a shared server: four roles as data, and the ACL file made of them. Pure.

Each role has the keys, channels and commands its processes were seen to need and no other; `%R~` marks keys it only
reads. The default user is switched off. Celery's channels carry the database's number: roles are made for one database.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

# What every client sends: redis-py and kombu when they connect, their transactions, and our scripts' clock. CLIENT
# SETINFO is not among them: Redis 7.0 refuses an ACL file that names it, and clients do not mind its refusal.
_ALL = (
    "hello auth ping select quit client|setname client|id multi exec discard watch unwatch time eval evalsha "
    "script|load script|exists exists hexists"
)
# Whoever sends tickets or control messages through kombu.
_SEND = "lpush llen sadd smembers"


@dataclass(frozen=True, slots=True)
class Role:
    """One ACL user. `keys` and `channels` in Redis' spelling; `{db}` stands for the number of the database."""

    name: str
    purpose: str
    commands: str
    keys: str
    channels: str = ""


ROLES = (
    Role(
        "producer",
        "painter paint, painter live, and a page that takes cameras and files",
        f"{_SEND} ltrim set get del hset hget hmget hgetall hincrby zadd zrem zrange zscore zcard zcount zrangebyscore "
        "zremrangebyscore pexpire xread xrevrange xtrim xadd publish subscribe unsubscribe info",
        "~style.* ~_kombu.binding* ~frame:* ~inflight:* ~painted:* ~stream:* ~streams ~live:* ~asking:* ~served:* "
        "~workers %R~worker:*",
        "&credit:*",
    ),
    Role(
        "worker",
        "painter work",
        f"{_SEND} rpush brpop rpop srem set get del hset hget hdel hmget hincrby pexpire zadd zrem zrange zscore "
        "zrangebyscore zrevrangebyscore zremrangebyscore zcard hgetall xadd publish subscribe unsubscribe psubscribe "
        "punsubscribe",
        "~style.* ~_kombu.binding* ~unacked* ~*.celery.pidbox* ~*.reply.celery.pidbox* ~celeryev* "
        "~frame:* ~inflight:* ~painted:* ~stream:* ~streams ~live:* ~asking:* ~served:* ~workers ~worker:* ~rebalance "
        "~moves",
        "&credit:* &/{db}.celery.pidbox &/{db}.celeryev/* &/{db}.celeryev/worker.*",
    ),
    Role(
        "viewer",
        "painter window, and a page that only shows",
        "hset hgetall pexpire zrange zcard zremrangebyscore xread xrevrange",
        "~stream:* ~streams ~workers %R~worker:* %R~painted:* %R~inflight:*",
    ),
    Role(
        "operator",
        "painter status, painter drain, painter flower",
        f"{_SEND} rpush brpop rpop srem set get del hset hget hdel hgetall pexpire zadd zrem zrange zrangebyscore "
        "zrevrangebyscore zcard zremrangebyscore xrevrange publish subscribe unsubscribe psubscribe punsubscribe info",
        "%R~style.* %R~celery ~_kombu.binding* ~unacked* ~*.celery.pidbox* ~*.reply.celery.pidbox* ~celeryev* "
        "~streams %R~stream:* %R~inflight:* %R~painted:* ~workers %R~worker:*",
        "&/{db}.celery.pidbox &/{db}.celeryev/* &/{db}.celeryev/worker.*",
    ),
)


def users_acl(passwords: Mapping[str, str], *, database: int = 0) -> str:
    """Return the text of an ACL file with one user a role; of its password only the SHA-256 is written."""
    return "\n".join(["user default off", *(_user(role, passwords[role.name], database) for role in ROLES), ""])


def _user(role: Role, password: str, database: int) -> str:
    digest = hashlib.sha256(password.encode()).hexdigest()
    allowed = " ".join(f"+{command}" for command in f"{_ALL} {role.commands}".split())
    keys, channels = role.keys, role.channels.format(db=database)
    return " ".join(f"user {role.name} on #{digest} resetkeys resetchannels -@all {keys} {channels} {allowed}".split())
