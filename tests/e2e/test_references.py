"""`${env:}`, `${file:}`, several files and `include:` (contract, section 2, References and the head of the section)."""

import os

from harness import check

ENTITIES = """
apis:
  a: { path: /a, routes: [ { name: r, respond: { status: 200, body: "@what@" } } ] }
"""


def _body(t, what, environment=None):
    return t.client(t.gateway(ENTITIES.replace("@what@", what), environment=environment)).get("/a").body.decode()


def test_environment(t):
    for what, want in (("${env:SLUICE_TEST_A}", "from a"), ("${env:SLUICE_TEST_UNSET:-default}", "default"), ("${env:SLUICE_TEST_A:-default}", "from a"),
                       ("x${env:SLUICE_TEST_A}y${env:SLUICE_TEST_B:-}z", "xfrom ayz"), ("${env:SLUICE_TEST_UNSET:-a: b}", "a: b")):
        with t.case(what):
            check.equal(_body(t, what, {"SLUICE_TEST_A": "from a"}), want)


def test_a_reference_is_a_value_not_yaml(t):
    """What stands in the variable never becomes structure."""
    check.equal(_body(t, "${env:SLUICE_TEST_A}", {"SLUICE_TEST_A": '", status: 500 } #'}), '", status: 500 } #')


def test_file(t):
    path = t.file("secret.txt", "from the file\n")
    assert _body(t, f"${{file:{path}}}") in ("from the file", "from the file\n")


def test_changed_file_is_read_again(t):
    path = t.file("text", "first")
    gateway = t.gateway(ENTITIES.replace("@what@", f"${{file:{path}}}"))
    client = t.client(gateway)
    check.equal(client.get("/a").body, b"first")
    with open(path, "w") as out:
        out.write("second")
    gateway.reload()
    check.equal(client.get("/a").body, b"second")


def test_unset_is_an_error_with_its_place(t):
    for what, word in (("${env:SLUICE_TEST_UNSET}", "SLUICE_TEST_UNSET"), ("${file:/does/not/exist}", "/does/not/exist"), ("${env:A", "${"),
                       ("${other:X}", "other")):
        with t.case(what):
            path = t.file("sluice.yaml", "version: 1" + ENTITIES.replace("@what@", what))
            done = t.sluice("check", path)
            check.equal(done.returncode, 1, "exit code")
            said = done.stdout + done.stderr
            assert word in said and "sluice.yaml:3:" in said, said


def test_secret_values_are_not_shown(t):
    path = t.file("sluice.yaml", 'version: 1\nconsumers:\n  a: { credentials: [ { api_key: "${env:SLUICE_TEST_KEY}", nonsense: 1 } ] }\n')
    done = t.sluice("check", path, environment={"SLUICE_TEST_KEY": "very-secret"})
    check.equal(done.returncode, 1)
    assert "very-secret" not in done.stdout + done.stderr


def _write_included(gateway_folder, name, text):
    os.makedirs(os.path.join(gateway_folder, "apis"), exist_ok=True)
    with open(os.path.join(gateway_folder, "apis", name), "w") as out:
        out.write(text)


def test_include(t):
    """Globs merge, relative to the file that includes."""
    gateway = t.gateway(ENTITIES.replace("@what@", "main"))
    for name in ("b", "c"):
        _write_included(gateway.folder, f"{name}.yaml",
                        f"apis:\n  {name}: {{ path: /{name}, routes: [ {{ name: r, respond: {{ status: 200, body: {name} }} }} ] }}\n")
    gateway.reload("include: [apis/*.yaml]\n" + ENTITIES.replace("@what@", "main"))
    client = t.client(gateway)
    for target, want in (("/a", b"main"), ("/b", b"b"), ("/c", b"c")):
        check.equal(client.get(target).body, want)


def test_two_definitions_of_one_name_are_an_error(t):
    one = "apis:\n  a: { path: /a, routes: [ { name: r, respond: { status: 200 } } ] }\n"
    t.file("apis/one.yaml", one)
    t.file("apis/two.yaml", one.replace("/a", "/b"))
    done = t.sluice("check", t.file("sluice.yaml", "version: 1\ninclude: [apis/*.yaml]\n"))
    check.equal(done.returncode, 1)
    said = done.stdout + done.stderr
    assert "one.yaml" in said and "two.yaml:2:" in said, said


def test_problem_in_an_included_file_names_that_file(t):
    t.file("apis/one.yaml", "apis:\n  a: { path: /a, upstrem: x }\n")
    done = t.sluice("check", t.file("sluice.yaml", "version: 1\ninclude: [apis/*.yaml]\n"))
    check.equal(done.returncode, 1)
    assert "one.yaml:2:18:" in done.stdout + done.stderr, done.stdout + done.stderr
