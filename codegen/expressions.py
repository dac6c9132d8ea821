"""The conditions of a spec: `phase in [IDLE, COOLDOWN] implies unbooked(entry) == 0`.

    expression  = either ["implies" expression]
    either      = both {"or" both}
    both        = opposite {"and" opposite}
    opposite    = "not" opposite | comparison
    comparison  = operand [("==" | "!=" | "<=" | "<" | ">=" | ">") operand | ["not"] "in" "[" name {"," name} "]"]
    operand     = number | name {"." name} | name "(" name {"," name} ")" | "(" expression ")"

A name with a domain (a fact, `phase`, `event.fills`) is compared with a value of that domain or with another name of
the same one; `<` and its like follow the order in which the domain's values are declared. The name of a phase alone
means that the machine is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from codegen.wording import did_you_mean, listed

Domain = tuple[str, ...]
Environment = Mapping[str, Any]
"""The value of each name: a place in its domain, or a truth. Functions are callables over their arguments."""
Condition = Callable[[Environment], Any]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+)|(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)|(?P<sign>==|!=|<=|>=|[<>()\[\],]))"
)
_WORDS = frozenset({"and", "or", "not", "in", "implies"})
_MOST_PARTS = 100
"""How many of `and`, `or`, `not`, `implies` and brackets a condition may have: far more than anybody can read."""
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<=": lambda a, b: bool(a <= b),
    "<": lambda a, b: bool(a < b),
    ">=": lambda a, b: bool(a >= b),
    ">": lambda a, b: bool(a > b),
}


@dataclass(frozen=True)
class Scope:
    """What a condition may speak of.

    `names` gives the domain of each name, None for one that is true or false. `functions` gives, for each function, the
    domain of each of its arguments; all of them count something.
    """

    names: Mapping[str, Domain | None]
    functions: Mapping[str, tuple[Domain, ...]] = field(default_factory=dict)

    @property
    def phases(self) -> Domain:
        return self.names["phase"] or ()


class ExpressionError(Exception):
    """A condition that means nothing. `offset` is the place in the text, from 0; `kind` is syntax, name or value."""

    def __init__(self, kind: str, offset: int, what: str, fix: str) -> None:
        super().__init__(what)
        self.kind = kind
        self.offset = offset
        self.what = what
        self.fix = fix


class Expression(NamedTuple):
    """A condition that was understood: how to answer it, and the names that it speaks of."""

    text: str
    holds: Condition
    names: frozenset[str]


class _Token(NamedTuple):
    kind: str
    text: str
    offset: int


class _Term(NamedTuple):
    """Part of a condition. `domain` is None for a truth and () for a number; `literal` is a word not yet understood."""

    value: Condition
    domain: Domain | None
    token: _Token
    literal: bool = False


def understand(text: str, scope: Scope) -> Expression:
    """The condition that `text` writes, in terms of `scope`.

    Raises:
        ExpressionError: it is not a condition, or names what is not there.
    """
    parser = _Parser(text, scope)
    holds = parser.truth(parser.expression())
    parser.end()
    return Expression(text, holds, frozenset(parser.named))


class _Parser:
    def __init__(self, text: str, scope: Scope) -> None:
        self._scope = scope
        self._tokens = _tokens(text)
        self._place = 0
        self.named: set[str] = set()

    def end(self) -> None:
        token = self._next
        if token.kind != "end":
            raise _syntax(token, f"`{token.text}` is not expected here")

    def truth(self, term: _Term) -> Condition:
        """The term as something that is true or false; the bare name of a phase means being in it."""
        if term.literal:
            phases = self._scope.phases
            if term.token.text not in phases:
                raise self._unknown(term.token, phases)
            place = phases.index(term.token.text)
            self.named.add("phase")
            return lambda env: env["phase"] == place
        if term.domain is not None:
            raise _syntax(term.token, f"`{term.token.text}` is neither true nor false", "compare it with a value")
        return term.value

    def expression(self) -> _Term:
        left = self._either()
        token = self._next
        if not self._word("implies"):
            return left
        one, other = self.truth(left), self.truth(self.expression())
        return _Term(lambda env: not one(env) or other(env), None, token)

    def _either(self) -> _Term:
        term = self._both()
        while (token := self._next) and self._word("or"):
            one, other = self.truth(term), self.truth(self._both())
            term = _Term(lambda env, one=one, other=other: one(env) or other(env), None, token)  # type: ignore[misc]
        return term

    def _both(self) -> _Term:
        term = self._opposite()
        while (token := self._next) and self._word("and"):
            one, other = self.truth(term), self.truth(self._opposite())
            term = _Term(lambda env, one=one, other=other: one(env) and other(env), None, token)  # type: ignore[misc]
        return term

    def _opposite(self) -> _Term:
        token = self._next
        if not self._word("not"):
            return self._comparison()
        inner = self.truth(self._opposite())
        return _Term(lambda env: not inner(env), None, token)

    def _comparison(self) -> _Term:
        left = self._operand()
        token = self._next
        if token.text in _COMPARE:
            self._place += 1
            return self._compared(left, token, self._operand())
        negated = token.text == "not" and self._tokens[self._place + 1].text == "in"
        if token.text == "in" or negated:
            self._place += 2 if negated else 1
            return self._among(left, token, negated)
        return left

    def _compared(self, left: _Term, token: _Token, right: _Term) -> _Term:
        if left.literal and not right.literal:
            left = self._valued(left, right)
        elif right.literal:
            right = self._valued(right, left)
        if left.domain is None or right.domain is None:
            raise _syntax(token, "what is true or false is not compared", "write it alone, or `not` before it")
        if left.domain != right.domain:
            raise ExpressionError(
                "value",
                right.token.offset,
                f"`{left.token.text}` and `{right.token.text}` have different values",
                f"compare `{left.token.text}` with one of: {listed(left.domain) or 'a number'}",
            )
        compare, one, other = _COMPARE[token.text], left.value, right.value
        return _Term(lambda env: compare(one(env), other(env)), None, token)

    def _among(self, left: _Term, token: _Token, negated: bool) -> _Term:
        self._sign("[")
        places = []
        while True:
            item = self._next
            if item.kind != "name":
                raise _syntax(item, "a value is missing here", "write the values between [ and ], with commas")
            self._place += 1
            places.append(self._valued(_Term(lambda env: None, None, item, literal=True), left).value({}))
            if self._next.text != ",":
                break
            self._place += 1
        self._sign("]")
        among, value = frozenset(places), left.value
        return _Term(lambda env: (value(env) in among) is not negated, None, token)

    def _operand(self) -> _Term:
        token = self._next
        self._place += 1
        if token.text == "(":
            inner = self.expression()
            self._sign(")")
            return inner
        if token.kind == "number":
            number = int(token.text)
            return _Term(lambda env: number, (), token)
        if token.kind != "name" or token.text in _WORDS:
            raise _syntax(
                token, "something is missing here" if token.kind == "end" else f"`{token.text}` is not expected here"
            )
        if self._next.text == "(":
            return self._call(token)
        if token.text in self._scope.names:
            self.named.add(token.text)
            return _Term(lambda env, name=token.text: env[name], self._scope.names[token.text], token)  # type: ignore[misc]
        return _Term(lambda env: None, None, token, literal=True)

    def _call(self, token: _Token) -> _Term:
        domains = self._scope.functions.get(token.text)
        if domains is None:
            known = list(self._scope.functions)
            nothing = "only invariants and properties of a machine with a `venue` count orders; here write one of: "
            raise ExpressionError(
                "name",
                token.offset,
                f"there is no `{token.text}(...)` here",
                did_you_mean(token.text, known)
                + (f"write one of: {listed(known)}" if known else nothing + listed(list(self._scope.names))),
            )
        self._sign("(")
        arguments: list[int] = []
        for number, domain in enumerate(domains):
            if number:
                self._sign(",")
            word = self._next
            self._place += 1
            if word.text not in domain:
                raise ExpressionError(
                    "value",
                    word.offset,
                    f"`{word.text}` cannot stand here",
                    f"{did_you_mean(word.text, domain)}write one of: {listed(domain)}",
                )
            arguments.append(domain.index(word.text))
        self._sign(")")
        self.named.add(token.text)
        name, given = token.text, tuple(arguments)
        return _Term(lambda env: env[name](*given), (), token)

    def _valued(self, word: _Term, beside: _Term) -> _Term:
        """The word as a value of the domain of what it is compared with."""
        if beside.literal:
            raise self._unknown(beside.token)
        domain = beside.domain
        if not domain or word.token.text not in domain:
            if domain == () or domain is None:
                raise self._unknown(word.token)
            raise ExpressionError(
                "value",
                word.token.offset,
                f"`{beside.token.text}` is never `{word.token.text}`",
                f"{did_you_mean(word.token.text, domain)}write one of: {listed(domain)}",
            )
        place = domain.index(word.token.text)
        return _Term(lambda env: place, domain, word.token)

    def _unknown(self, token: _Token, phases: Domain = ()) -> ExpressionError:
        names = [*self._scope.names, *self._scope.functions]
        fix = f"{did_you_mean(token.text, [*names, *self._scope.phases])}write one of: {listed(names)}"
        if phases:
            fix += f"; or a phase: {listed(phases)}"
        return ExpressionError("name", token.offset, f"`{token.text}` is unknown here", fix)

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _word(self, word: str) -> bool:
        if self._next.text != word:
            return False
        self._place += 1
        return True

    def _sign(self, sign: str) -> None:
        if not self._word(sign):
            raise _syntax(self._next, f"`{sign}` is missing here")


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise ExpressionError(
                "syntax", at, f"`{text[at]}` has no meaning in a condition", "write names, ==, !=, <=, in, and, or, not"
            )
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    parts = [token for token in tokens if token.text in ("and", "or", "not", "implies", "(")]
    if len(parts) > _MOST_PARTS:
        raise ExpressionError(
            "syntax",
            parts[_MOST_PARTS].offset,
            f"the condition has more than {_MOST_PARTS} parts",
            "write several claims, or `phase in [A, B]` in place of `A or B`",
        )
    # Two ends, so that a look at the token after the next one is always possible.
    return [*tokens, _Token("end", "", end), _Token("end", "", end)]


def _syntax(
    token: _Token, what: str, fix: str = "write a condition such as `phase in [A, B] implies fact == value`"
) -> ExpressionError:
    return ExpressionError("syntax", token.offset, what, fix)
