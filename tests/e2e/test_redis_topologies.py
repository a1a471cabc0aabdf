"""Limits that several gateways share through a Redis Cluster, or through a master that sentinels replace."""

from harness import patience, ports
from harness.redis import Cluster, Redis, Sentinel

STORE = """
upstreams:
  one: { targets: ["http://127.0.0.1:@echo@"] }
redis: { shared: { @store@, user: gate, password: s3cret, timeout: 2s } }
apis:
  a:
    path: /
    upstream: one
    policies: [ { rate_limit: { @limit@, key: "header:x-caller", store: shared, mode: strict, on_store_failure: @failure@ } } ]
"""
# What docs/redis.md says that a user needs.
RIGHTS = "~sluice:* resetchannels +eval +evalsha +time +get +set +hgetall +hincrby +hdel +pexpire"


def _acl(t, name, rights):
    return t.file(name, f"user default on nopass ~* &* +@all\nuser gate on >s3cret {rights}\n")


def _gateway(t, store, limit="rate: 10/24h", failure="deny"):
    return t.gateway(STORE, {"echo": t.echo(), "store": store, "limit": limit, "failure": failure})


def _cluster(t, *arguments, **more):
    return Cluster(t, "--aclfile", _acl(t, "cluster.acl", RIGHTS + " +cluster|slots +asking"), *arguments, **more)


def _ask(client, caller="one"):
    return client.get("/", [("X-Caller", caller)])


def _left(answer):
    """What is left of the limit, as the answer says; None: nothing is said."""
    field = answer.get("ratelimit")
    return int(field.split(";r=")[1].split(";")[0]) if field else None


def _statuses(client, count, caller="one"):
    return [_ask(client, caller).status for _ in range(count)]


def test_a_cluster_counts_each_caller_exactly(t):
    cluster = _cluster(t)
    gateways = [_gateway(t, f"cluster: [{cluster.addresses()}]", "limits: [ { rate: 4/24h }, { quota: 100/day } ]") for _ in range(2)]
    clients = [t.client(gateway) for gateway in gateways]
    for caller in (f"caller-{i}" for i in range(24)):
        statuses = _statuses(clients[0], 3, caller) + _statuses(clients[1], 3, caller)
        assert statuses == [200] * 4 + [429] * 2, (caller, statuses)
    counts = [int(node.ask("DBSIZE")) for node in cluster.nodes]
    assert sum(counts) == 48 and min(counts) > 0, counts
    for gateway in gateways:
        metrics = gateway.metrics()
        errors = sum(metrics.sum("sluice_store_requests_total", store="shared", result=result) for result in ("timeout", "disconnected"))
        assert errors == 0, errors
        assert metrics.sum("sluice_store_connections", store="shared") >= 3


def test_a_slot_that_moves_is_followed(t):
    cluster = _cluster(t)
    client = t.client(_gateway(t, f"cluster: 127.0.0.1:{cluster.nodes[0].port}"))
    assert _left(_ask(client)) == 9
    source, key = cluster.with_key()
    target = next(node for node in cluster.nodes if node is not source)
    slot, ids = source.ask("CLUSTER", "KEYSLOT", key), {node: node.ask("CLUSTER", "MYID") for node in cluster.nodes}
    target.told("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
    source.told("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
    assert _left(_ask(client)) == 8, "it is still here"
    source.told("MIGRATE", "127.0.0.1", str(target.port), key, "0", "5000")
    assert _left(_ask(client)) == 7, "it is there already: ASK"
    assert _left(_ask(client)) == 6
    for node in (target, source, *(other for other in cluster.nodes if other not in (target, source))):
        node.told("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
    assert [_left(_ask(client)) for _ in range(3)] == [5, 4, 3], "MOVED"
    assert cluster.with_key() == (target, key)


def test_without_one_node_the_others_go_on(t):
    cluster = _cluster(t, "--cluster-require-full-coverage", "no")
    gateway = _gateway(t, f"cluster: [{cluster.addresses()}]", failure="local")
    client = t.client(gateway)
    assert _left(_ask(client, "lost")) == 9
    lost, _ = cluster.with_key()
    lost.kill()
    patience.poll("it is known", lambda: gateway.metrics().sum("sluice_store_connections", store="shared") == 0)
    assert [_left(_ask(client, "lost")) for _ in range(2)] == [9, 8], "counted by the gateway alone"
    others = [f"caller-{i}" for i in range(8)]
    patience.poll("the others are known", lambda: gateway.metrics().sum("sluice_store_connections", store="shared") >= 1 or
                  [_ask(client, caller) for caller in others] and None, 30)
    counted = sum(int(node.ask("DBSIZE")) for node in cluster.nodes if node is not lost)
    assert counted >= 1, counted
    assert f"node 127.0.0.1:{lost.port} of store shared cannot be used" in gateway.said(), gateway.said()
    lost.start()  # its counters are gone, its slots are not
    patience.poll("it is used again", lambda: _ask(client, "lost").status == 200 and int(lost.ask("DBSIZE")) > 0, 30)


def test_a_replica_that_takes_over_is_found(t):
    cluster = _cluster(t, replica=True)
    first, replica = cluster.nodes[0], cluster.nodes[-1]
    patience.poll("the replica is in step", lambda: replica.info("master_link_status") == "up", 30)
    gateway = _gateway(t, f"cluster: [{cluster.addresses()}]", "rate: 3/24h")
    client = t.client(gateway)
    for number in range(1000):  # one whose counters the first node has
        if _ask(client, caller := f"caller-{number}").status == 200 and int(first.ask("DBSIZE")) > 0:
            break
    assert _ask(client, caller).status == 200
    patience.poll("it has what was counted", lambda: replica.info("slave_repl_offset") == first.info("master_repl_offset"))
    first.kill()
    answer = patience.poll("the limit is counted again", lambda: (each := _ask(client, caller)).status != 503 and each, 30)
    assert [answer.status, _ask(client, caller).status] in ([200, 429], [429, 429]), answer.status
    assert replica.info("role") == "master"


def test_sentinels_name_another_master(t):
    rights = _acl(t, "server.acl", RIGHTS + " +role")
    watchers = t.file("sentinel.acl", "user default on nopass ~* &* +@all\nuser watch on >w4tch +sentinel|get-master-addr-by-name\n")
    master = Redis(t, "--aclfile", rights)
    replica = Redis(t, "--aclfile", rights, "--replicaof", "127.0.0.1", str(master.port))
    patience.poll("the replica is in step", lambda: replica.info("master_link_status") == "up", 30)
    sentinel = Sentinel(t, master, f"aclfile {watchers}")
    patience.poll("the sentinel knows the replica", lambda: str(replica.port) in sentinel.ask("SENTINEL", "REPLICAS", "main"), 30)
    nobody = ports.free_port()
    gateway = _gateway(t, f"sentinel: {{ master: main, addresses: [127.0.0.1:{nobody}, 127.0.0.1:{sentinel.port}], user: watch, "
                          "password: w4tch }", "rate: 5/24h")
    client = t.client(gateway)
    assert _statuses(client, 3) == [200] * 3
    assert int(master.ask("DBSIZE")) == 1
    patience.poll("it has what was counted", lambda: replica.info("slave_repl_offset") == master.info("master_repl_offset"))
    master.kill()
    answer = patience.poll("the limit is counted again", lambda: (each := _ask(client)).status != 503 and each, 30)
    statuses = [answer.status, *_statuses(client, 3)]
    assert statuses.count(200) <= 2 and statuses[-1] == 429, statuses
    assert replica.info("role") == "master"
    assert "store shared cannot be used" in gateway.said()


def test_a_database_and_a_wrong_name(t):
    master = Redis(t, "--aclfile", _acl(t, "server.acl", RIGHTS + " +role +select"))
    sentinel = Sentinel(t, master)
    place = f"addresses: 127.0.0.1:{sentinel.port}"
    good = t.client(_gateway(t, f"sentinel: {{ master: main, {place} }}, database: 2", "rate: 2/24h"))
    assert _statuses(good, 3) == [200, 200, 429]
    assert master.info("db2").startswith("keys=1"), master.info("db2")
    wrong = _gateway(t, f"sentinel: {{ master: mine, {place} }}")
    assert _ask(t.client(wrong)).status == 503
    assert f"no sentinel names the master: 127.0.0.1:{sentinel.port} does not know `mine`" in wrong.said(), wrong.said()


for slow in (test_without_one_node_the_others_go_on, test_a_replica_that_takes_over_is_found, test_sentinels_name_another_master):
    slow.timeout = 180
