"""Snowflake's tokens: words, quoted names, strings, `$$` bodies, numbers, signs; comments fall away. Pure Python."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from local.warehouse.errors import SnowflakeError, syntax_error

WORD, QUOTED, STRING, NUMBER, SIGN, END = "word", "quoted", "string", "number", "sign", "end"

_TOKEN = re.compile(
    r"""(?P<space>\s+ | --[^\n]* | //[^\n]* | /\*.*?\*/)
      | (?P<body>\$\$.*?\$\$)
      | (?P<string>'(?:[^'\\]|''|\\.)*')
      | (?P<quoted>"(?:[^"]|"")*")
      | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)
      | (?P<word>[A-Za-z_][\w$]*|\$\w+)
      | (?P<sign>=>|::|<>|!=|>=|<=|\|\||:=|->|[-+*/%(),.;=<>:?\[\]{}!@&^~|])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"''|\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}


@dataclass(frozen=True)
class Token:
    """One token: its kind, its value (words in upper case, strings unescaped) and where it stands in the text."""

    kind: str
    value: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Is it one of these unquoted words?"""
        return self.kind == WORD and self.value in words

    def is_sign(self, *signs: str) -> bool:
        """Is it one of these signs?"""
        return self.kind == SIGN and self.value in signs


def _unescape(match: re.Match[str]) -> str:
    return "'" if match[1] is None else _ESCAPED.get(match[1], match[1])


def _token(match: re.Match[str]) -> Token:
    text, kind = match[0], match.lastgroup or ""
    if kind == "body":
        return Token(STRING, text[2:-2], match.start(), match.end())
    if kind == "string":
        return Token(STRING, _ESCAPE.sub(_unescape, text[1:-1]), match.start(), match.end())
    if kind == "quoted":
        return Token(QUOTED, text[1:-1].replace('""', '"'), match.start(), match.end())
    return Token(kind, text.upper() if kind == WORD else text, match.start(), match.end())


def place(sql: str, offset: int) -> tuple[int, int]:
    """Line (from 1) and position in it (from 0) of an offset, as Snowflake counts them."""
    return sql.count("\n", 0, offset) + 1, offset - (sql.rfind("\n", 0, offset) + 1)


def tokenize(sql: str) -> list[Token]:
    """All tokens of a text, an END token last. Raises a syntax error for an unclosed string or an unknown sign."""
    return list(_tokens(sql))


@lru_cache(maxsize=16)  # several modules read each statement
def _tokens(sql: str) -> tuple[Token, ...]:
    tokens: list[Token] = []
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None:
            raise syntax_error(sql[at : at + 12].split("\n")[0], *place(sql, at))
        if match.lastgroup != "space":
            tokens.append(_token(match))
        at = match.end()
    tokens.append(Token(END, "<EOF>", len(sql), len(sql)))
    return tuple(tokens)


class Reader:
    """Walks over the tokens of one statement; every expectation that fails is a syntax error at its place."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.tokens = tokenize(sql)
        self.at = 0
        self._one_statement_only()

    def _one_statement_only(self) -> None:
        """Drop a closing semicolon; refuse a second statement, unless an anonymous block or a task's body holds it."""
        while len(self.tokens) > 1 and self.tokens[-2].is_sign(";"):
            self.tokens[-2:] = [Token(END, "<EOF>", self.tokens[-2].start, self.tokens[-2].start)]
        count = 1 + sum(token.is_sign(";") for token in self.tokens)
        if count > 1:
            raise SnowflakeError(
                8, "0A000", f"Actual statement count {count} did not match the desired statement count 1."
            )

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or one further on; END after the last."""
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def next(self) -> Token:
        """Take the next token."""
        token = self.peek()
        self.at += 1
        return token

    def words(self, *phrase: str) -> bool:
        """Take these words if all of them come next."""
        if all(self.peek(i).is_word(word) for i, word in enumerate(phrase)):
            self.at += len(phrase)
            return True
        return False

    def sign(self, sign: str) -> bool:
        """Take this sign if it comes next."""
        if self.peek().is_sign(sign):
            self.at += 1
            return True
        return False

    def expect_words(self, *phrase: str) -> None:
        """Take these words or raise."""
        if not self.words(*phrase):
            raise self.unexpected(" ".join(phrase))

    def expect_sign(self, sign: str) -> None:
        """Take this sign or raise."""
        if not self.sign(sign):
            raise self.unexpected(f"'{sign}'")

    def expect_end(self) -> None:
        """Raise if anything is left."""
        if self.peek().kind != END:
            raise self.unexpected()

    def unexpected(self, expected: str = "") -> SnowflakeError:
        """The syntax error at the next token."""
        token = self.peek()
        text = "<EOF>" if token.kind == END else self.sql[token.start : token.end].split("\n")[0][:40]
        return syntax_error(text, *place(self.sql, token.start), expected)

    def string(self) -> str:
        """Take a string, single-quoted or between `$$`."""
        if self.peek().kind != STRING:
            raise self.unexpected("a string")
        return self.next().value

    def number(self) -> int:
        """Take a whole number."""
        if self.peek().kind != NUMBER or not self.peek().value.isdigit():
            raise self.unexpected("a whole number")
        return int(self.next().value)

    def identifier(self) -> str:
        """Take a name: a word in upper case, or a quoted one as it is."""
        if self.peek().kind not in (WORD, QUOTED):
            raise self.unexpected("a name")
        return self.next().value

    def name(self, most: int = 3) -> tuple[str, ...]:
        """Take a name of up to three parts, or `IDENTIFIER('…')`."""
        if self.peek().is_word("IDENTIFIER") and self.peek(1).is_sign("("):
            self.at += 2
            parts = Reader(self.string()).name(most)
            self.expect_sign(")")
            return parts
        parts = (self.identifier(),)
        while len(parts) < most and self.sign("."):
            parts += (self.identifier(),)
        return parts

    def rest(self) -> str:
        """Everything that is left, as it was written."""
        text = self.sql[self.peek().start : self.tokens[-1].start].strip()
        self.at = len(self.tokens) - 1
        return text
