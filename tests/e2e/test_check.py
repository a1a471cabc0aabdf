"""`sluice check`, `sluice schema` and the command line's exit codes (contract, sections 1 and 2)."""

import json
import re

from harness import check

GOOD = """version: 1
gateway:
  listen:
    - { name: plain, address: 127.0.0.1:8080 }
upstreams:
  users: { targets: [http://127.0.0.1:7001] }
apis:
  users:
    path: /users
    upstream: users
"""

# name: (replaced, by, line of the problem, words that the message must have)
BAD = {
    "unknown key": ("    upstream: users", "    upsteam: users", 10, ["upsteam", "upstream"]),
    "unknown key at the top": ("version: 1", "version: 1\npolicys: []", 2, ["policys", "policies"]),
    "unknown key in the gateway": ("gateway:", "gateway:\n  worker: 1", 3, ["worker", "workers"]),
    "dangling reference": ("    upstream: users", "    upstream: user", 10, ["user", "users"]),
    "wrong type": ("    path: /users", "    path: [a]", 9, ["list"]),
    "a number where text is wanted": ("    upstream: users", "    upstream: 5", 10, []),
    "bad duration": ("gateway:", "gateway:\n  timeouts: { header: 10 minutes }", 3, ["10 minutes"]),
    "bad size": ("gateway:", "gateway:\n  limits: { request_body: 1XB }", 3, ["1XB"]),
    "bad address": ("127.0.0.1:8080", "127.0.0.1:808080", 4, []),
    "bad URL": ("http://127.0.0.1:7001", "ftp://127.0.0.1:7001", 6, []),
    "no path separator": ("    path: /users", "    path: users", 9, []),
    "unknown policy": ("    upstream: users", "    upstream: users\n    policies: [ { api_kye: {} } ]", 11, ["api_kye", "api_key"]),
    "unknown key in a policy": ("    upstream: users", "    upstream: users\n    policies: [ { api_key: { inn: header } } ]", 11, ["inn"]),
    "unknown value": ("    upstream: users", "    upstream: users\n    policies: [ { api_key: { in: hedaer } } ]", 11, ["hedaer", "header"]),
    "unknown chain": ("    upstream: users", "    upstream: users\n    policies: [ { use: partner } ]", 11, ["partner"]),
    "bad rate": ("    upstream: users", "    upstream: users\n    policies: [ { rate_limit: { rate: 100 } } ]", 11, ["rate"]),
    "two policies of one id": ("    upstream: users", "    upstream: users\n    policies: [ { api_key: {} }, { api_key: {} } ]", 11, ["api_key"]),
    "one key twice": ("    upstream: users", "    upstream: users\n    upstream: users", 11, ["upstream"]),
    "broken YAML": ("apis:", "apis: [", 7, []),
    "bad version": ("version: 1", "version: 9", 1, ["version"]),
    "future protocol": ("  users: { targets: [http://127.0.0.1:7001] }", "  users: { targets: [http://127.0.0.1:7001], protocol: h9 }", 6, ["h9"]),
}


def _checked(t, text, *arguments, name="sluice.yaml"):
    return t.sluice("check", *arguments, t.file(name, text))


def test_good_file(t):
    done = _checked(t, GOOD)
    check.equal(done.returncode, 0, done.stdout + done.stderr)


def test_json_is_a_document_too(t):
    text = json.dumps({"version": 1, "gateway": {"listen": [{"name": "p", "address": "127.0.0.1:8080"}]},
                       "apis": {"a": {"path": "/a", "routes": [{"name": "r", "respond": {"status": 200}}]}}})
    check.equal(_checked(t, text, name="sluice.json").returncode, 0)


def test_every_problem_has_its_place_a_caret_and_the_nearest_name(t):
    for name, (old, new, line, words) in BAD.items():
        with t.case(name):
            assert GOOD.count(old), old
            text = GOOD.replace(old, new, 1) if not old.startswith("    upstream") else GOOD.replace(old, new)
            done = _checked(t, text)
            check.equal(done.returncode, 1, f"exit code, {done.stdout + done.stderr}")
            said = done.stdout + done.stderr
            places = re.findall(r"sluice\.yaml:(\d+):(\d+): (.*)", said)
            assert places, said
            hit = [message for at, _, message in places if int(at) == line or name in ("broken YAML", "one key twice")]
            assert hit, f"no problem at line {line}: {said}"
            for word in words:
                assert any(word in message for message in hit), f"{word}: {said}"
            if name != "broken YAML":
                _check_caret(said, text)


def _check_caret(said, text):
    """The offending line stands below the message, and a caret below it at the column that was told."""
    lines = said.splitlines()
    at = next(index for index, line in enumerate(lines) if re.search(r"sluice\.yaml:\d+:\d+: ", line))
    number, column = map(int, re.search(r"sluice\.yaml:(\d+):(\d+): ", lines[at]).groups())
    source = text.splitlines()[number - 1]
    shown = next((index for index in range(at + 1, len(lines)) if source.strip() in lines[index]), None)
    assert shown is not None, f"the line itself is not shown: {said}"
    caret = lines[shown + 1]
    assert "^" in caret, said
    offset = lines[shown].index(source.strip()) - (len(source) - len(source.lstrip()))
    check.equal(caret.index("^") - offset + 1, column, f"column of the caret in {said}")


def test_all_problems_are_told_at_once(t):
    text = GOOD.replace("    upstream: users", "    upsteam: users").replace("gateway:", "gateway:\n  worker: 1")
    done = _checked(t, text)
    check.equal(len(set(re.findall(r"sluice\.yaml:(\d+):", done.stdout + done.stderr)) & {"3", "11"}), 2, done.stdout + done.stderr)


def _objects(value):
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(child)


def test_json_format(t):
    done = _checked(t, GOOD.replace("    upstream: users", "    upsteam: users"), "--format", "json")
    check.equal(done.returncode, 1)
    found = [entry for entry in _objects(json.loads(done.stdout)) if "message" in entry and "line" in entry]
    assert any(entry["line"] == 10 and "upsteam" in entry["message"] and entry.get("column", entry.get("col")) == 5
               and str(entry.get("file", "")).endswith("sluice.yaml") for entry in found), done.stdout
    done = _checked(t, GOOD, "--format", "json")
    check.equal(done.returncode, 0)
    assert not [entry for entry in _objects(json.loads(done.stdout)) if "message" in entry], done.stdout


def test_sarif_format(t):
    """SARIF 2.1.0: what code hosts show beside the line."""
    done = _checked(t, GOOD.replace("    upstream: users", "    upsteam: users"), "--format", "sarif")
    check.equal(done.returncode, 1)
    log = json.loads(done.stdout)
    check.equal(log["version"], "2.1.0")
    run, = log["runs"]
    assert run["tool"]["driver"]["name"].lower() == "sluice"
    places = [(result, result["locations"][0]["physicalLocation"]) for result in run["results"]]
    result, place = next(pair for pair in places if pair[1]["region"]["startLine"] == 10)
    check.equal(place["region"]["startColumn"], 5)
    assert place["artifactLocation"]["uri"].endswith("sluice.yaml") and "upsteam" in result["message"]["text"]
    assert result["level"] == "error"
    check.equal(json.loads(_checked(t, GOOD, "--format", "sarif").stdout)["runs"][0]["results"], [])


def test_several_files(t):
    """They merge; each problem names its own file."""
    main = t.file("main.yaml", GOOD)
    more = t.file("more.yaml", "version: 1\napis:\n  orders: { path: /orders, upstream: users }\n")
    check.equal(t.sluice("check", main, more).returncode, 0, "exit code of good ones")
    bad = t.file("bad.yaml", "version: 1\napis:\n  orders: { path: /orders, upstream: nobody }\n  users: { path: /u, upstream: users }\n")
    done = t.sluice("check", main, bad)
    check.equal(done.returncode, 1)
    said = done.stdout + done.stderr
    assert re.search(r"bad\.yaml:3:\d+: .*nobody", said), said
    assert re.search(r"bad\.yaml:4:\d+: .*users", said), said  # the second definition of a name


def test_exit_codes(t):
    """0 fine, 1 invalid input or failed, 64 usage."""
    good = t.file("good.yaml", GOOD)
    for arguments, code in ((["check", good], 0), (["check"], 64), (["check", t.folder + "/none.yaml"], 1), (["frobnicate"], 64), ([], 64),
                            (["check", "--format", "xml", good], 64), (["check", "--nonsense", good], 64), (["run", good, good], 64),
                            (["--help"], 0), (["check", "--help"], 0), (["--version"], 0), (["schema"], 0), (["explain", good], 64)):
        with t.case(" ".join(arguments)):
            check.equal(t.sluice(*arguments).returncode, code, "exit code")


def test_no_colour_when_it_is_no_terminal(t):
    done = _checked(t, GOOD.replace("upstream: users", "upsteam: users"))
    assert "\x1b" not in done.stdout + done.stderr


def test_schema_is_draft_07_and_knows_the_document(t):
    done = t.sluice("schema")
    check.equal(done.returncode, 0)
    schema = json.loads(done.stdout)
    check.equal(schema["$schema"].rstrip("#"), "http://json-schema.org/draft-07/schema")
    check.equal(schema["type"], "object")
    check.equal(schema["additionalProperties"], False, "additionalProperties")
    for name in ("version", "gateway", "upstreams", "apis", "policies", "chains", "consumers", "include"):
        assert name in schema["properties"], name
    text = done.stdout
    for policy in ("request_id", "headers", "rewrite", "api_key", "rate_limit"):
        assert f'"{policy}"' in text, policy
    for reference in {entry["$ref"] for entry in _objects(schema) if isinstance(entry.get("$ref"), str)}:
        with t.case(reference):
            place = schema
            assert reference.startswith("#/"), reference
            for step in reference[2:].split("/"):
                place = place[step.replace("~1", "/").replace("~0", "~")]
    for entry in _objects(schema):
        if "pattern" in entry and isinstance(entry["pattern"], str):
            re.compile(entry["pattern"])


def test_rewrite_with_a_parameter_that_the_path_has_not(t):
    """It would fill in nothing, and send requests somewhere else than meant."""
    done = _checked(t, GOOD + "    routes:\n      - { name: one, path: '/{id}', policies: [ { rewrite: { path: '/people/{name}' } } ] }\n")
    check.equal(done.returncode, 1)
    said = done.stdout + done.stderr
    assert re.search(r"sluice\.yaml:12:\d+: .*\{name\}", said), said
