#!/usr/bin/python3
"""Tests of tools/lint.py and tools/coroutine_rule.py. Run by ./dev test."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import coroutine_rule  # noqa: E402
import lint  # noqa: E402


def wrong_lines(code):
    return [line for line, _ in coroutine_rule.check(code)]


class CoAwaitStandsAlone(unittest.TestCase):
    def test_statements_and_assignments_are_fine(self):
        for code in (
            "co_await f(a);",
            "{ co_await f(a); }",
            "auto x = co_await f(a);",
            "const auto [a, b] = co_await f();",
            "Result<std::pair<A, B>> x = co_await stream.read();",
            "auto&& x = co_await f();",
            "member_ = co_await f();",
            "this->table[i] = co_await f();",
            "if (ready) co_await f();",
            "if (a) { b(); } co_await f();",
            "else co_await f();",
            "while (true) x = co_await f();",
            "for (int i = 0; i < 3; ++i) co_await f();",
            "switch (x) { case kOne: co_await f(); break; default: co_await g(); }",
            "auto task = [](Loop& loop) -> Task<void> { co_await loop.wait(); };",
            "call([](Loop& loop) -> Task<void> { auto x = co_await loop.wait(); use(x, 1); });",
            "co_await io::offload(pool, [] { return f(a, b) && c; });",
            "co_await f(a, b ? c : d);",
            "auto x = co_await std::move(task);",
            "struct Task { auto operator co_await() && noexcept { return Awaiter{}; } };",
        ):
            self.assertEqual(wrong_lines(code), [], code)

    def test_everywhere_else_is_flagged(self):
        for code in (
            "if (co_await f()) g();",
            "if (auto x = co_await f(); x) g();",
            "while (!co_await f()) {}",
            "for (; co_await f();) {}",
            "for (auto& x : co_await f()) {}",
            "g(co_await f());",
            "EXPECT_EQ(co_await f(), 3);",
            "auto x = (co_await f()).value();",
            "auto x = g(1, co_await f());",
            "auto x = co_await g(co_await f());",
            "auto x = ok ? co_await f() : 0;",
            "auto x = co_await f() ? 1 : 2;",
            "auto x = ok && co_await f();",
            "auto x = co_await f() && ok;",
            "auto x = co_await f() || ok;",
            "auto x = !co_await f();",
            "auto x = 1 + co_await f();",
            "sum += co_await f();",
            "ok = x == co_await f();",
            "auto x = Pair{co_await f(), 1};",
            "Pair x{co_await f()};",
            "auto x = {1, co_await f()};",
            "a[co_await f()] = 1;",
            "g().x = co_await f();",
            "co_return co_await f();",
            "int a = 1, b = co_await f();",
            "co_await f(), g();",
        ):
            self.assertEqual(wrong_lines(code), [1], code)

    def test_comments_literals_and_directives_do_not_count(self):
        for code in (
            "// if (co_await f())",
            "/* g(co_await\n f()) */",
            'log("if (co_await f())");',
            'auto s = R"x(g(co_await f()))x";',
            "#define TRY(x) \\\n  g(co_await x)",
            "auto c = '('; co_await f();",
            "auto n = 1'000'000; co_await f();",
        ):
            self.assertEqual(wrong_lines(code), [], code)

    def test_reports_the_line(self):
        self.assertEqual(wrong_lines("int a;\n/* b\n c */\nif (co_await f())\n  g(co_await h());\n"), [4, 5])


class Rules(unittest.TestCase):
    LAYERS = ["base", "io", "http"]

    def rules(self, findings):
        return [finding.rule for finding in findings]

    def layers(self, path, text):
        return self.rules(lint.check_layers(path, text, self.LAYERS))

    def test_own_and_lower_layers_may_be_included(self):
        self.assertEqual(self.layers("src/io/a.cpp", '#include "io/a.h"\n#include "base/b.h"\n#include <vector>\n'), [])

    def test_a_higher_layer_may_not(self):
        self.assertEqual(self.layers("src/io/epoll/a.cpp", '#include "http/message.h"\n'), ["layers"])

    def test_includes_are_named_from_src(self):
        self.assertEqual(self.layers("src/io/a.cpp", '#include "a.h"\n'), ["layers"])

    def test_a_folder_outside_the_list_is_no_layer(self):
        self.assertEqual(self.layers("src/util/a.cpp", ""), ["layers"])

    def test_files_outside_src_include_what_they_want(self):
        self.assertEqual(self.layers("fuzz/a_fuzz.cpp", '#include "http/message.h"\n'), [])

    def test_heavy_headers_stay_out_of_headers(self):
        text = "// A.\n#pragma once\n#include <openssl/ssl.h>\n"
        self.assertEqual(self.rules(lint.check_facade("src/tls/a.h", text)), ["facade"])
        self.assertEqual(self.rules(lint.check_facade("src/tls/a.cpp", text)), [])

    def test_length_counts_sources_but_not_tests(self):
        long = "int a;\n" * 501
        self.assertEqual(self.rules(lint.check_length("src/io/a.cpp", long)), ["length"])
        self.assertEqual(self.rules(lint.check_length("src/io/a_test.cpp", long)), [])
        self.assertEqual(self.rules(lint.check_length("src/io/a.cpp", "int a;\n" * 500)), [])

    def test_a_header_says_what_it_is_for(self):
        self.assertEqual(self.rules(lint.check_header("src/io/a.h", "#pragma once\n")), ["header"])
        self.assertEqual(self.rules(lint.check_header("src/io/a.h", "// A loop.\n")), ["header"])
        self.assertEqual(self.rules(lint.check_header("src/io/a.h", "// A loop.\n#pragma once\n")), [])

    def test_notes_and_tabs(self):
        self.assertEqual(self.rules(lint.check_text("a.cpp", "int a;\t// TO" "DO later\n")), ["tabs", "notes"])
        self.assertEqual(self.rules(lint.check_text("a.cpp", "int todo_list;\n")), [])

    def test_exempted_files_and_dead_links(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in {
                "src/layers.txt": "# lowest first\nbase\n",
                "src/base/a.h": "int a;\n",
                "src/base/b.h": "// B.\n#pragma once\n",
                "tools/lint_exempt.txt": "# rule path reason\nheader src/base/a.h made by a tool\n",
                "README.md": "[b](src/base/b.h) [web](https://a.test/) [none](docs/none.md#x)\n```\n[x](y)\n```\n",
            }.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            found = lint.find(root)
            self.assertEqual([(f.path, f.rule) for f in found], [("README.md", "links")])


if __name__ == "__main__":
    unittest.main()
