"""Where `co_await` may stand: alone. One of

    co_await f(a);    auto x = co_await f(a);    x = co_await f(a);

and nowhere else: not in a condition, an argument list, `?:`, `&&`, braces or `co_return`. Compilers have got the
other places wrong (ARCHITECTURE.md), and a suspension that can be seen at the start of a statement is not
overlooked. This is a scanner over tokens, not a parser; it knows brackets and statements, which is enough.
"""

import re

_TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<raw>R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)")
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<number>\d(?:'?[\w.])*)
  | (?P<char>'(?:\\.|[^'\\\n])+')
  | (?P<directive>^[ \t]*\#(?:\\\n|[^\n])*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<symbol>==|!=|<=|>=|&&|\|\||->|::|[-+*/%&|^]=|[^\s])
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE)

_CLOSES = {"(": ")", "[": "]", "{": "}"}
_CONTROL = {"if", "while", "for", "switch"}
# What may stand left of `=`: a declaration or an lvalue. Brackets are folded to one token before this is asked.
_LEFT_SIDE = re.compile(r"(?:\w+|::|->|[.<>,*&]|&&|\[\])+")


def tokens(text):
    """(line, token) of the code: without comments, directives; literals as `""`."""
    line = 1
    position = 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        kind = match.lastgroup
        if kind in ("word", "symbol"):
            yield line, match.group()
        elif kind in ("string", "char", "number", "raw", "mark"):
            yield line, '""'


def _statement_start(statement):
    """The folded tokens of a statement without labels and the heads of controls before it."""
    rest = list(statement)
    while rest:
        if rest[0] in ("else", "do"):
            rest = rest[1:]
        elif rest[0] in _CONTROL and "()" in rest:
            rest = rest[rest.index("()") + 1:]
        elif rest[0] in ("case", "default") and ":" in rest:
            rest = rest[rest.index(":") + 1:]
        else:
            break
    return rest


def _wrong_start(opener, statement):
    """Why `co_await` may not follow these tokens of its statement, or None."""
    if opener == "(":
        return "inside parentheses (an argument, a condition)"
    if opener == "[":
        return "inside brackets"
    before = _statement_start(statement)
    if not before:
        return None
    if before[-1] in ("co_return", "return"):
        return f"after {before[-1]}"
    if before[-1] == "=" and _LEFT_SIDE.fullmatch("".join(before[:-1])):
        return None
    return f"after '{before[-1]}'"


def check(text):
    """Yields (line, reason) for every `co_await` that does not stand alone."""
    openers = [""]       # the bracket that each level is in
    statements = [[]]    # the folded tokens of the statement under way on each level
    awaiting = []        # (level, line) of a co_await whose statement has not ended
    for line, token in tokens(text):
        level = len(openers) - 1
        if token == "co_await" and statements[-1][-1:] != ["operator"]:
            reason = _wrong_start(openers[-1], statements[-1])
            if reason:
                yield line, reason
            else:
                awaiting.append((level, line))
        elif awaiting and awaiting[-1][0] == level and token in ("&&", "||", "?", ",", "}"):
            _, at = awaiting.pop()
            yield at, "inside braces or a list" if token in (",", "}") else f"as an operand of '{token}'"

        if token in _CLOSES:
            openers.append(token)
            statements.append([])
        elif token in (")", "]", "}"):
            if level == 0:
                continue  # unbalanced, as in a macro's halves: not ours to judge
            opener = openers.pop()
            statements.pop()
            while awaiting and awaiting[-1][0] >= level:
                awaiting.pop()
            if opener == "{" and not (statements[-1] and statements[-1][-1] == "="):
                statements[-1] = []  # a block ends a statement
            else:
                statements[-1].append(opener + _CLOSES[opener])
        elif token == ";":
            statements[-1] = []
            if awaiting and awaiting[-1][0] == level:
                awaiting.pop()
        else:
            statements[-1].append(token)
