"""The status listener: /livez, /readyz and /metrics with the contract's names (sections 1 and 3a)."""

from harness import check

ENTITIES = """
upstreams:
  one: { targets: ["http://127.0.0.1:@echo@"] }
  absent: { targets: ["http://127.0.0.1:@absent@"] }
apis:
  shop:
    path: /shop
    upstream: one
    routes:
      - { name: items, path: "/items/{id}" }
      - { name: own, path: /own, respond: { status: 200, body: hello } }
      - { name: gone, path: /gone, upstream: absent }
      - { name: limited, path: /limited, policies: [ { rate_limit: { rate: 1/1h, burst: 1, key: route } } ], respond: { status: 200 } }
"""


def _gateway(t, **settings):
    return t.gateway(ENTITIES, {"echo": t.echo(), "absent": t.free_port()}, **settings)


def test_status_listener(t):
    gateway = _gateway(t)
    for target, status in (("/livez", 200), ("/readyz", 200), ("/metrics", 200), ("/", 404), ("/shop/own", 404)):
        with t.case(target):
            check.equal(gateway.status(target).status, status)
    assert gateway.status("/metrics").get("content-type").startswith("text/plain"), gateway.status("/metrics").get("content-type")
    with t.case("the proxy's port serves no status"):
        check.equal(t.client(gateway).get("/metrics").status, 404)


def test_requests_are_counted_by_api_route_and_class(t):
    gateway = _gateway(t)
    client = t.client(gateway)
    for target, times in (("/shop/items/1", 3), ("/shop/items/2", 2), ("/shop/own", 4), ("/shop/gone", 1), ("/shop/limited", 3), ("/nowhere", 2)):
        for _ in range(times):
            client.get(target)
    metrics = gateway.metrics()
    for labels, want in (({"api": "shop", "route": "items", "code_class": "2xx"}, 5), ({"api": "shop", "route": "own", "code_class": "2xx"}, 4),
                         ({"api": "shop", "route": "gone", "code_class": "5xx"}, 1), ({"api": "shop", "route": "limited", "code_class": "2xx"}, 1),
                         ({"api": "shop", "route": "limited", "code_class": "4xx"}, 2), ({"code_class": "4xx"}, 4)):
        with t.case(labels):
            check.equal(metrics.sum("sluice_requests_total", **labels), want)
    for name, labels, want in (("sluice_upstream_requests_total", {"upstream": "one"}, 5), ("sluice_limited_total", {"policy": "rate_limit"}, 2),
                               ("sluice_request_seconds_count", {"api": "shop", "phase": "total"}, 13),
                               ("sluice_upstream_seconds_count", {"upstream": "one"}, 5)):
        with t.case(name):
            check.equal(metrics.sum(name, **labels), want)
    with t.case("a path never becomes a label"):
        assert not any("/" in value and key in ("route", "api") for _, labels, _ in metrics.samples for key, value in labels.items())


def test_histograms_are_well_formed(t):
    """Prometheus text format: buckets grow, the last is +Inf and equals _count."""
    gateway = _gateway(t)
    for _ in range(5):
        t.client(gateway).get("/shop/items/1")
    metrics = gateway.metrics()
    for phase in ("total", "upstream", "gateway"):
        with t.case(phase):
            buckets = metrics.find("sluice_request_seconds_bucket", api="shop", phase=phase)
            assert buckets, "no buckets"
            bounds = [(float(labels["le"].replace("+Inf", "inf")), value) for labels, value in buckets]
            assert bounds == sorted(bounds) and [value for _, value in bounds] == sorted(value for _, value in bounds)
            check.equal(bounds[-1], (float("inf"), metrics.sum("sluice_request_seconds_count", api="shop", phase=phase)))
            assert 0 <= metrics.sum("sluice_request_seconds_sum", api="shop", phase=phase) < 60


def test_names_and_types(t):
    """The names are stable surface; these are the ones that this stage of the product knows."""
    gateway = _gateway(t)
    client = t.client(gateway)
    client.get("/shop/items/1")
    client.get("/shop/gone")
    bad = t.client(gateway)
    bad.send(b"GET / HTTP/1.1\r\nBad : x\r\n\r\n")
    bad.response()
    metrics = gateway.metrics()
    for name, kind in (("sluice_requests_total", "counter"), ("sluice_request_seconds", "histogram"), ("sluice_refused_total", "counter"),
                       ("sluice_connections", "gauge"), ("sluice_upstream_requests_total", "counter"),
                       ("sluice_upstream_seconds", "histogram"), ("sluice_upstream_connections", "gauge"),
                       ("sluice_reloads_total", "counter"), ("sluice_config_revision", "gauge"), ("sluice_log_dropped_total", "counter"),
                       ("sluice_build_info", "gauge"), ("sluice_io_backend", "gauge"), ("sluice_limit_hits_total", "counter"), ("sluice_limited_total", "counter"),
                       ("sluice_retries_total", "counter")):
        with t.case(name):
            check.equal(metrics.types.get(name), kind, "type")
    with t.case("labels of sluice_build_info"):
        (labels, value), = metrics.find("sluice_build_info")
        assert value == 1 and labels["version"] and labels["io"] in ("epoll", "io_uring"), labels
    with t.case("sluice_refused_total counts what could not be parsed"):
        assert metrics.sum("sluice_refused_total") >= 1


def test_connections_and_pools(t):
    gateway = _gateway(t)
    clients = [t.client(gateway) for _ in range(7)]
    for client in clients:
        client.get("/shop/items/1")
    check.equal(gateway.metrics().sum("sluice_connections", listener="plain"), 7, "client connections")
    assert gateway.metrics().sum("sluice_upstream_connections", upstream="one") >= 1
    for client in clients:
        client.close()
    t.poll("the gauge goes back", lambda: gateway.metrics().sum("sluice_connections", listener="plain") == 0)


def test_limits_that_were_hit_are_counted(t):
    """Architecture, section 4: every limit has a metric when hit."""
    gateway = _gateway(t, limits="{ request_target: 1KiB, request_head: 4KiB, request_fields: 20, request_body: 100 }")
    for target, fields, body in (("/" + "a" * 2000, [], None), ("/", [("A", "x" * 5000)], None), ("/", [("A", "x")] * 30, None),
                                 ("/shop/items/1", [], b"z" * 101)):
        t.client(gateway).request("POST", target, fields, body)
    metrics = gateway.metrics()
    names = {labels["limit"] for labels, value in metrics.find("sluice_limit_hits_total") if value >= 1}
    check.equal(names, {"request_target", "request_head", "request_fields", "request_body"})
