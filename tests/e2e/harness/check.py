"""Expectations that many tests share."""

from harness import message


def equal(have, want, what="value"):
    assert have == want, f"{what}: have {have!r}, want {want!r}"


def problem(answer, status, code=None):
    """Contract, section 3: an error that the gateway makes is application/problem+json with these members."""
    assert answer.status == status, f"status {answer.status} instead of {status}: {answer.body[:300]!r}"
    equal(answer.get("content-type"), "application/problem+json", "content-type")
    told = answer.json
    for name in ("type", "title", "status", "detail", "code", "request_id"):
        assert name in told, f"the problem has no {name}: {told}"
    equal(told["status"], status, "status in the problem")
    assert told["request_id"] and told["code"], told
    if code:
        equal(told["code"], code, "code")
    return told


def fields(echo, name):
    """The values of one field as the echo upstream saw them."""
    return [value for have, value in echo["fields"] if have == name.lower()]


def field(echo, name):
    values = fields(echo, name)
    assert len(values) <= 1, f"{name} repeated: {values}"
    return values[0] if values else None


def refused_or_closed(client):
    """The answer, or None when the peer closed without one."""
    try:
        return client.response()
    except message.Closed:
        return None
