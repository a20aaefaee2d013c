#!/usr/bin/python3
"""Uses a server as programs with redis-py do, and compares every reply.

usage: redis_py.py plain PORT PREFIX       one server; all keys begin with PREFIX
       redis_py.py cluster PORT MASTERS STEP   a cluster of so many masters; every STEP-th slot
       redis_py.py password PORT PASSWORD
       redis_py.py restart PORT PREFIX     the caller restarts the server after the line "serving"
       redis_py.py handover PORT PREFIX    the caller lets another process take over after "serving"

Ends with "N values compared", or with exit code 1 and the first difference.
"""

import sys
import time

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.exceptions import RedisClusterException

HOST = "127.0.0.1"
SLOTS = 16384
BINARY = bytes(range(256)) + b"\r\n$-1\r\n*0\r\n" + bytes(reversed(range(256)))
compared = 0


def same(what, found, expected):
    global compared
    if found != expected:
        sys.exit(f"{what}: expected {str(expected)[:300]!r}, found {str(found)[:300]!r}")
    compared += 1


def refused(what, call, kind, text):
    """Runs call(), which has to raise exactly `kind`, with a message that begins with `text`."""
    try:
        reply = call()
    except (redis.RedisError, RedisClusterException) as error:
        same(what + ", class", type(error).__name__, kind.__name__)
        same(what, str(error)[: len(text)], text)
    else:
        sys.exit(f"{what}: expected an error '{text}', found the reply {reply!r}")


def strings(client, prefix):
    key, other, missing = (prefix + name for name in ("key", "other", "missing"))
    same("SET", client.set(key, "value"), True)
    same("GET", client.get(key), b"value")
    same("GET of no key", client.get(missing), None)
    same("SET NX", client.set(key, "x", nx=True), None)
    same("SET GET", client.set(key, "next", get=True), b"value")
    same("MSET", client.mset({key: "1", other: "2"}), True)
    same("MGET", client.mget(other, missing, key), [b"2", None, b"1"])
    same("INCR", client.incr(key), 2)
    same("INCRBY", client.incr(key, 40), 42)
    same("INCRBYFLOAT", client.incrbyfloat(other, 0.5), 2.5)
    same("APPEND", client.append(key, "0"), 3)
    same("EXISTS", client.exists(key, other, missing), 2)
    same("TYPE", client.type(key), b"string")
    same("DEL", client.delete(key, other, missing), 2)
    same("GET after DEL", client.get(key), None)

    same("SET EX", client.set(key, "value", ex=100), True)
    same("TTL", 90 <= client.ttl(key) <= 100, True)
    same("PTTL", 90_000 <= client.pttl(key) <= 100_000, True)
    same("PERSIST", client.persist(key), True)
    same("TTL without expiry", client.ttl(key), -1)
    same("EXPIRE", client.expire(key, 200), True)
    same("TTL after EXPIRE", 190 <= client.ttl(key) <= 200, True)
    same("EXPIRE of no key", client.expire(missing, 200), False)
    same("TTL of no key", client.ttl(missing), -2)
    same("EXPIRE in the past", client.expire(key, -1), True)
    same("GET of what expired", client.get(key), None)

    binary_key = prefix.encode() + BINARY
    same("SET of bytes", client.set(binary_key, BINARY), True)
    same("GET of bytes", client.get(binary_key), BINARY)
    large = BINARY * 4096
    same("SET of 2 MiB", client.set(key, large), True)
    same("GET of 2 MiB", client.get(key), large)
    same("DEL of both", client.delete(binary_key, key), 2)


def errors(client, prefix):
    key = prefix + "text"
    connection = client.client_id()
    client.set(key, "text")
    refused("INCR of a text", lambda: client.incr(key), redis.ResponseError, "value is not an integer or out of range")
    refused(
        "unknown command",
        lambda: client.execute_command("NOSUCH", "a"),
        redis.ResponseError,
        "unknown command 'NOSUCH', with args beginning with: 'a'",
    )
    refused(
        "GET without a key",
        lambda: client.execute_command("GET"),
        redis.ResponseError,
        "wrong number of arguments for 'get' command",
    )
    pipe = client.pipeline(transaction=False)
    pipe.set(key, "text").incr(key).get(key)
    replies = pipe.execute(raise_on_error=False)
    same("pipeline with an error", [replies[0], type(replies[1]).__name__, replies[2]], [True, "ResponseError", b"text"])
    same("the connection after errors", client.client_id(), connection)
    same("DEL", client.delete(key), 1)


def pipelines(client, prefix):
    names = [f"{prefix}many:{i}" for i in range(1000)]
    pipe = client.pipeline(transaction=False)
    for i, name in enumerate(names):
        pipe.set(name, f"value {i}")
    same("1000 SET", pipe.execute(), [True] * 1000)
    for name in names:
        pipe.get(name)
    same("1000 GET", pipe.execute(), [f"value {i}".encode() for i in range(1000)])
    same("DBSIZE", client.dbsize(), 1000)
    expected = sorted(name.encode() for name in names)
    same("SCAN", sorted(client.scan_iter(count=37)), expected)
    same("SCAN MATCH", sorted(client.scan_iter(match="*many:77*")), [n for n in expected if b"many:77" in n])
    same("KEYS", sorted(client.keys("*")), expected)
    same("UNLINK of 1000", client.unlink(*names), 1000)
    same("DBSIZE after UNLINK", client.dbsize(), 0)


def collections(client, prefix):
    tag = prefix if "{" in prefix else "{" + prefix + "}"
    hash_key, list_key, other, set_key, zset_key = (tag + name for name in "hlosz")
    same("HSET", client.hset(hash_key, mapping={"a": "1", "b": "2"}), 2)
    same("HGETALL", client.hgetall(hash_key), {b"a": b"1", b"b": b"2"})
    same("HINCRBY", client.hincrby(hash_key, "a", 41), 42)
    same("HSCAN", dict(client.hscan_iter(hash_key)), {b"a": b"42", b"b": b"2"})
    same("RPUSH", client.rpush(list_key, "a", "b", "c"), 3)
    same("LRANGE", client.lrange(list_key, 0, -1), [b"a", b"b", b"c"])
    same("LMOVE", client.lmove(list_key, other, "LEFT", "RIGHT"), b"a")
    same("BLPOP", client.blpop([other, list_key], timeout=1), (other.encode(), b"a"))
    same("BLPOP of nothing", client.blpop(other, timeout=0.05), None)
    same("SADD", client.sadd(set_key, "a", "b"), 2)
    same("SMEMBERS", client.smembers(set_key), {b"a", b"b"})
    same("ZADD", client.zadd(zset_key, {"a": 1.5, "b": -1}), 2)
    same("ZRANGE", client.zrange(zset_key, 0, -1, withscores=True), [(b"b", -1.0), (b"a", 1.5)])
    same("ZINCRBY", client.zincrby(zset_key, 2, "b"), 1.0)
    pipe = client.pipeline(transaction=True)
    pipe.hget(hash_key, "a").llen(list_key).scard(set_key)
    same("MULTI and EXEC", pipe.execute(), [b"42", 2, 2])
    same("DEL", client.delete(hash_key, list_key, set_key, zset_key), 4)


def groups(client, prefix):
    key = prefix + "stream"
    ids = [client.xadd(key, {"n": n}, id=f"{n + 1}-0") for n in range(4)]
    same("XADD", ids, [b"1-0", b"2-0", b"3-0", b"4-0"])
    same("XGROUP CREATE", client.xgroup_create(key, "crew", id="0"), True)
    refused("XGROUP CREATE again", lambda: client.xgroup_create(key, "crew"), redis.ResponseError, "BUSYGROUP")
    name = key.encode()
    ann = client.xreadgroup("crew", "ann", {key: ">"}, count=2)
    bob = client.xreadgroup("crew", "bob", {key: ">"}, block=1000)
    same("XREADGROUP of ann", ann, [[name, [(b"1-0", {b"n": b"0"}), (b"2-0", {b"n": b"1"})]]])
    same("XREADGROUP of bob", bob, [[name, [(b"3-0", {b"n": b"2"}), (b"4-0", {b"n": b"3"})]]])
    same("XREADGROUP of nothing", client.xreadgroup("crew", "bob", {key: ">"}, block=10), [])
    same("XACK", client.xack(key, "crew", "1-0", "4-0", "9-0"), 2)
    pending = client.xpending(key, "crew")
    same("XPENDING", (pending["pending"], pending["min"], pending["max"]), (2, b"2-0", b"3-0"))
    whose = [{"name": b"ann", "pending": 1}, {"name": b"bob", "pending": 1}]
    same("XPENDING by consumer", pending["consumers"], whose)
    same("XPENDING of a range", client.xpending_range(key, "crew", "-", "+", 10)[1]["consumer"], b"bob")
    same("XCLAIM", client.xclaim(key, "crew", "bob", 0, ["2-0"]), [(b"2-0", {b"n": b"1"})])
    same("XDEL", client.xdel(key, "3-0"), 1)
    claimed = client.xautoclaim(key, "crew", "ann", 0)
    same("XAUTOCLAIM", claimed, [b"0-0", [(b"2-0", {b"n": b"1"})], [b"3-0"]])
    info = client.xinfo_groups(key)[0]
    same("XINFO GROUPS", (info["consumers"], info["pending"], info["lag"]), (2, 1, 0))
    consumers = [(one["name"], one["pending"]) for one in client.xinfo_consumers(key, "crew")]
    same("XINFO CONSUMERS", consumers, [(b"ann", 1), (b"bob", 0)])
    same("XGROUP DELCONSUMER", client.xgroup_delconsumer(key, "crew", "ann"), 1)
    same("XGROUP DESTROY", client.xgroup_destroy(key, "crew"), True)
    same("DEL of a stream", client.delete(key), 1)


# What libraries are built on: scripts that they send again when the server does not know them, and locks.
def scripts(client, prefix):
    key = prefix + "counter"
    add = client.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
    same("a script", add(keys=[key], args=[5]), 5)
    same("SCRIPT FLUSH", client.script_flush(), True)
    same("a script that was forgotten", add(keys=[key], args=[2]), 7)
    same("SCRIPT EXISTS", client.script_exists(add.sha, "0" * 40), [True, False])
    same("EVAL", client.eval("return {KEYS[1], ARGV[1], 3}", 1, key, "x"), [key.encode(), b"x", 3])
    library = "lib_" + "".join(c if c.isalnum() and c.isascii() else "_" for c in prefix)
    code = "#!lua name=%s\nredis.register_function('%s_add', function(keys, args) return redis.call('incrby', keys[1], args[1]) end)" % (library, library)
    same("FUNCTION LOAD", client.execute_command("FUNCTION LOAD", "REPLACE", code), library.encode())
    same("FCALL", client.fcall(library + "_add", 1, key, 3), 10)
    same("FUNCTION LIST", len(client.function_list(library=library)), 1)
    same("FUNCTION DELETE", client.function_delete(library), True)
    refused("EVAL of an error", lambda: client.eval("return redis.error_reply('MINE is this')", 0), redis.ResponseError, "MINE is this")
    lock = client.lock(prefix + "lock", timeout=20)
    other = client.lock(prefix + "lock", timeout=20)
    same("a lock", lock.acquire(blocking=False), True)
    same("a lock that is held", other.acquire(blocking=False), False)
    same("a lock is extended", lock.extend(30), True)
    lock.release()
    same("a lock that is free again", other.acquire(blocking=False), True)
    other.release()
    same("DEL of a counter", client.delete(key), 1)


def next_message(listener):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        message = listener.get_message(timeout=0.1)
        if message is not None:
            return [message["type"], message["pattern"], message["channel"], message["data"]]
    sys.exit("no message within 10 s")


def messages(client, prefix):
    listener = client.pubsub()
    channel, pattern = prefix + "news", prefix + "n?w*"
    listener.subscribe(channel)
    same("SUBSCRIBE", next_message(listener), ["subscribe", None, channel.encode(), 1])
    listener.psubscribe(pattern)
    same("PSUBSCRIBE", next_message(listener), ["psubscribe", None, pattern.encode(), 2])
    same("PUBLISH", client.publish(channel, BINARY), 2)
    found = sorted([next_message(listener), next_message(listener)], key=lambda message: message[0])
    same("message", found[0], ["message", None, channel.encode(), BINARY])
    same("pmessage", found[1], ["pmessage", pattern.encode(), channel.encode(), BINARY])
    listener.unsubscribe()
    same("UNSUBSCRIBE", next_message(listener), ["unsubscribe", None, channel.encode(), 1])
    listener.close()


def connection(port):
    client = redis.Redis(host=HOST, port=port, client_name="my-name", single_connection_client=True)
    same("PING", client.ping(), True)
    same("ECHO", client.echo(BINARY), BINARY)
    same("CLIENT GETNAME", client.client_getname(), "my-name")
    same("CLIENT SETNAME", client.client_setname("other"), True)
    same("SETINFO", client.execute_command("CLIENT SETINFO", "LIB-NAME", "redis-py"), b"OK")
    same("SETINFO", client.execute_command("CLIENT SETINFO", "LIB-VER", redis.__version__), b"OK")
    info = client.client_info()
    same("CLIENT INFO name", info["name"], "other")
    same("CLIENT INFO lib-name", info["lib-name"], "redis-py")
    same("CLIENT INFO lib-ver", info["lib-ver"], redis.__version__)
    same("CLIENT LIST", [c["name"] for c in client.client_list() if int(c["id"]) == client.client_id()], ["other"])
    same("INFO", client.info()["redis_version"], "7.2.4")
    same("CONFIG GET", list(client.config_get("maxclients")), ["maxclients"])
    same("COMMAND", client.command()["get"]["arity"], 2)
    same("SELECT", client.select(0), True)
    refused("SELECT 1", lambda: client.select(1), redis.ResponseError, "DB index is out of range")


def plain(port, prefix):
    connection(port)
    for options in ({}, {"single_connection_client": True}):
        client = redis.Redis(host=HOST, port=port, **options)
        same("FLUSHALL", client.flushall(), True)
        strings(client, prefix)
        pipelines(client, prefix)
    errors(client, prefix)
    collections(client, prefix)
    groups(client, prefix)
    scripts(client, prefix)
    messages(client, prefix)
    decoding = redis.Redis(host=HOST, port=port, decode_responses=True)
    same("SET of a text", decoding.set(prefix + "text", "gr\u00fc\u00dfe"), True)
    same("GET of a text", decoding.get(prefix + "text"), "gr\u00fc\u00dfe")
    same("DEL of a text", decoding.delete(prefix + "text"), 1)


def key_of_each_slot(step):
    keys = {}
    number = 0
    while len(keys) < (SLOTS + step - 1) // step:
        key = f"key:{number}"
        slot = key_slot(key.encode())
        if slot % step == 0:
            keys.setdefault(slot, key)
        number += 1
    return list(keys.values())


def cluster(port, masters, step):
    client = RedisCluster(host=HOST, port=port)
    same("masters", len(client.get_primaries()), masters)
    for node in client.get_primaries():
        same("FLUSHALL", client.flushall(target_nodes=node), True)
    strings(client, "{tag}")

    keys = key_of_each_slot(step)
    for i in range(0, len(keys), 1000):
        part = keys[i : i + 1000]
        pipe = client.pipeline()
        for key in part:
            pipe.set(key, "value of " + key)
        same("SET in each slot", pipe.execute(), [True] * len(part))
        for key in part:
            pipe.get(key)
        same("GET in each slot", pipe.execute(), [("value of " + key).encode() for key in part])
    for key in keys[:: max(1, len(keys) // 200)]:
        same("GET " + key, client.get(key), ("value of " + key).encode())
        same("KEYSLOT " + key, client.cluster_keyslot(key), key_slot(key.encode()))
    everywhere = {"target_nodes": RedisCluster.PRIMARIES}
    found = client.scan_iter(count=500, **everywhere)
    expected = sorted(key.encode() for key in keys)
    same("SCAN", sorted(set(found)), expected)
    # Proxies that share the slots know from READONLY that this client adds their answers up.
    adding = RedisCluster(host=HOST, port=port, read_from_replicas=True)
    same("DBSIZE", adding.dbsize(**everywhere), len(keys))
    same("SCAN without doubles", sorted(adding.scan_iter(count=500, **everywhere)), expected)
    same("KEYS", sorted(adding.keys("*", **everywhere)), expected)

    same("MSET over slots", client.mset_nonatomic({key: "next" for key in keys[:300]}), [True] * 300)
    same("MGET over slots", client.mget_nonatomic(keys[:300]), [b"next"] * 300)
    same("DEL over slots", client.delete(*keys[:300]), 300)
    refused(
        "MGET with keys of two slots",
        lambda: client.mget(keys[300], keys[301]),
        RedisClusterException,
        "MGET - all keys must map to the same key slot",
    )
    refused("INCR of a text", lambda: client.incr(keys[300]), redis.ResponseError, "value is not an integer")
    crossslot(client, keys[300], keys[301])


def crossslot(client, one, other):
    """What must be one step and is not in one slot: a proxy says so, as Redis does."""
    node = client.get_node_from_key(one)
    plain_client = redis.Redis(host=node.host, port=node.port)
    if plain_client.info()["executable"] != "kv_proxy":
        return
    for name in ("RENAME", "COPY", "LCS"):
        refused(
            f"{name} over two slots",
            lambda: plain_client.execute_command(name, one, other),
            redis.ResponseError,
            "CROSSSLOT Keys in request don't hash to the same slot",
        )
    same("the key stays", plain_client.get(one), ("value of " + one).encode())


def password(port, secret):
    without = redis.Redis(host=HOST, port=port)
    refused("no password", lambda: without.get("k"), redis.AuthenticationError, "Authentication required.")
    wrong = redis.Redis(host=HOST, port=port, password=secret + "x")
    refused("wrong password", wrong.ping, redis.ResponseError, "WRONGPASS invalid username-password pair")
    user = redis.Redis(host=HOST, port=port, username="nobody", password=secret)
    refused("wrong user", user.ping, redis.ResponseError, "WRONGPASS invalid username-password pair")
    for options in ({"password": secret}, {"username": "default", "password": secret}):
        client = redis.Redis(host=HOST, port=port, **options)
        same("SET with a password", client.set("k", "v"), True)
        same("GET with a password", client.get("k"), b"v")
    url = redis.Redis.from_url(f"redis://:{secret}@{HOST}:{port}/0")
    same("GET by URL", url.get("k"), b"v")


def wait_for_another_process(client, process):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if client.info("server")["process_id"] != process:
                return
        except redis.ConnectionError:
            pass  # The one thing that a restart may cost.
        time.sleep(0.01)
    sys.exit("the server was not restarted, or cannot be reached")


def restart(port, prefix):
    client = redis.Redis(host=HOST, port=port, single_connection_client=True)
    same("SET", client.set(prefix + "kept", "1"), True)
    process = client.info("server")["process_id"]
    print("serving", flush=True)
    wait_for_another_process(client, process)
    same("GET after the restart", client.get(prefix + "kept"), b"1")
    same("INCR after the restart", client.incr(prefix + "kept"), 2)


def handover(port, prefix):
    """Counts without a pause while the process changes: nothing may fail, nothing be done twice."""
    client = redis.Redis(host=HOST, port=port)
    process = client.info("server")["process_id"]
    key = prefix + "counter"
    client.delete(key)
    print("serving", flush=True)
    deadline = time.monotonic() + 60
    count = 0
    while client.info("server")["process_id"] == process:
        for _ in range(50):
            count += 1
            same("INCR", client.incr(key), count)
        if time.monotonic() > deadline:
            sys.exit("nobody took over")
    same("INCR by the successor", client.incr(key), count + 1)


def main(part, port, *rest):
    parts = {"plain": plain, "cluster": cluster, "password": password, "restart": restart, "handover": handover}
    values = [int(text) for text in rest] if part == "cluster" else rest
    parts[part](int(port), *values)
    print(f"{compared} values compared")


if __name__ == "__main__":
    main(*sys.argv[1:])
