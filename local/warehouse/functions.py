"""The functions of Snowflake that the stand-in has; a call of any other is refused with 002140, whatever DuckDB
knows.
"""

from __future__ import annotations

from local.warehouse.errors import compilation_error, unknown_function, unsupported
from local.warehouse.lexer import END, QUOTED, WORD, Token, tokenize


def _words(*texts: str) -> frozenset[str]:
    return frozenset(word for text in texts for word in text.split())


KNOWN = _words(
    # aggregates and windows
    """COUNT SUM AVG MIN MAX COUNT_IF ANY_VALUE LISTAGG ARRAY_AGG OBJECT_AGG MEDIAN STDDEV STDDEV_SAMP STDDEV_POP
    VARIANCE VAR_SAMP VAR_POP PERCENTILE_CONT PERCENTILE_DISC APPROX_COUNT_DISTINCT APPROX_PERCENTILE MIN_BY MAX_BY
    CORR BOOLAND_AGG BOOLOR_AGG ROW_NUMBER RANK DENSE_RANK NTILE LAG LEAD FIRST_VALUE LAST_VALUE PERCENT_RANK
    CUME_DIST""",
    # conditions
    "COALESCE NVL NVL2 IFNULL NULLIF ZEROIFNULL NULLIFZERO IFF DECODE GREATEST LEAST EQUAL_NULL DIV0",
    # conversions
    """CAST TRY_CAST TO_CHAR TO_VARCHAR TO_NUMBER TO_DECIMAL TO_NUMERIC TO_DOUBLE TO_BOOLEAN TO_DATE DATE TO_TIMESTAMP
    TO_TIMESTAMP_NTZ TO_VARIANT TO_JSON PARSE_JSON TRY_PARSE_JSON TRY_TO_NUMBER TRY_TO_DATE""",
    # dates and times
    """SYSDATE CURRENT_TIMESTAMP CURRENT_DATE GETDATE LOCALTIMESTAMP DATEADD TIMESTAMPADD DATEDIFF TIMESTAMPDIFF
    DATE_TRUNC DATE_PART EXTRACT YEAR MONTH DAY HOUR MINUTE SECOND QUARTER DAYOFYEAR LAST_DAY ADD_MONTHS
    CONVERT_TIMEZONE DATE_FROM_PARTS DAYNAME MONTHNAME""",
    # texts
    """LENGTH LEN UPPER LOWER INITCAP TRIM LTRIM RTRIM SUBSTR SUBSTRING LEFT RIGHT REPLACE CONCAT CONCAT_WS SPLIT
    SPLIT_PART CONTAINS STARTSWITH ENDSWITH POSITION CHARINDEX LPAD RPAD REPEAT REVERSE REGEXP_REPLACE REGEXP_SUBSTR
    MD5 SHA2 UUID_STRING ASCII CHR""",
    # numbers
    "ABS ROUND CEIL FLOOR TRUNC MOD POWER POW SQRT EXP LN SIGN RANDOM SIN COS TAN PI DEGREES RADIANS",
    # semi-structured data
    """OBJECT_CONSTRUCT OBJECT_CONSTRUCT_KEEP_NULL ARRAY_CONSTRUCT ARRAY_SIZE GET_PATH GET FLATTEN TYPEOF
    OBJECT_KEYS""",
    # the session and the account
    """CURRENT_USER CURRENT_ROLE CURRENT_WAREHOUSE CURRENT_DATABASE CURRENT_SCHEMA CURRENT_ACCOUNT CURRENT_SESSION
    CURRENT_VERSION LAST_QUERY_ID SYSTEM$STREAM_HAS_DATA SYSTEM$TASK_DEPENDENTS_ENABLE SYSTEM$WAIT
    SYSTEM$CANCEL_ALL_QUERIES SYSTEM$ABORT_TRANSACTION GET_DDL GENERATOR SEQ4""",
)
# In INFORMATION_SCHEMA.
_TABLE_FUNCTIONS = _words("TASK_HISTORY QUERY_HISTORY QUERY_HISTORY_BY_SESSION QUERY_HISTORY_BY_USER")
# Words that stand before a parenthesis without calling anything.
_NOT_CALLED = _words(
    """SELECT FROM WHERE AND OR NOT IN AS ON USING VALUES VALUE EXISTS CASE WHEN THEN ELSE END OVER BY HAVING LIMIT
    OFFSET QUALIFY JOIN INNER LEFT RIGHT CROSS FULL OUTER LATERAL UNION ALL EXCEPT MINUS INTERSECT ANY SOME DISTINCT
    TABLE VIEW SET INTO GROUP ORDER PARTITION BETWEEN LIKE ILIKE IS NULL KEY UNIQUE REFERENCES CHECK DEFAULT
    AUTOINCREMENT IDENTITY CLUSTER WITHIN INTERVAL RETURNING INSERT UPDATE DELETE MERGE SEMI ASC DESC FIRST LAST ADD
    COLUMN RECURSIVE WITH ROLLUP CUBE SETS GROUPING PIVOT UNPIVOT SAMPLE TABLESAMPLE EXCLUDE RENAME COMMENT IDENTIFIER
    OVERWRITE""",
    """NUMBER DECIMAL NUMERIC INT INTEGER BIGINT SMALLINT TINYINT FLOAT DOUBLE REAL VARCHAR STRING TEXT CHAR CHARACTER
    BINARY VARBINARY BOOLEAN TIME TIMESTAMP TIMESTAMP_NTZ TIMESTAMP_LTZ TIMESTAMP_TZ DATETIME VARIANT OBJECT ARRAY""",
)
# After these words a name with a parenthesis is a table or an alias with its columns.
_NAMES_FOLLOW = _words("INTO TABLE VIEW WITH AS EXISTS JOIN UPDATE RECURSIVE OVERWRITE SEQUENCE")
# After these it is a call, though they are neither signs nor in the list of words that are not called.
_KEYWORDS = _words("SELECT RETURN NULLS INTERVAL CALL ESCAPE TOP")


def _counts(*rows: str) -> dict[str, tuple[int, int]]:
    """`least most NAME NAME …` for each row."""
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        least, most, *names = row.split()
        found |= dict.fromkeys(names, (int(least), int(most)))
    return found


# How many arguments a function takes: sqlglot drops what is too much, and makes something up for what is missing.
_ARGUMENTS = _counts(
    "0 0 SYSDATE GETDATE CURRENT_USER CURRENT_ROLE CURRENT_WAREHOUSE CURRENT_DATABASE CURRENT_SCHEMA CURRENT_ACCOUNT",
    "0 0 CURRENT_SESSION CURRENT_DATE PI",
    "1 1 SUM AVG MIN MAX COUNT_IF ANY_VALUE MEDIAN ZEROIFNULL NULLIFZERO YEAR MONTH DAY HOUR MINUTE SECOND QUARTER",
    "1 1 DAYNAME MONTHNAME LENGTH LEN UPPER LOWER REVERSE MD5 ASCII CHR ABS SQRT EXP LN SIGN SIN COS TAN DEGREES",
    "1 1 RADIANS ARRAY_SIZE OBJECT_KEYS TYPEOF",
    "1 2 LISTAGG TRIM LTRIM RTRIM CEIL FLOOR SHA2 INITCAP LAST_DAY",
    "1 3 ROUND LAG LEAD",
    "2 2 NVL IFNULL NULLIF EQUAL_NULL DIV0 DATE_TRUNC DATE_PART ADD_MONTHS LEFT RIGHT SPLIT CONTAINS STARTSWITH",
    "2 2 ENDSWITH REPEAT MOD POWER POW GET GET_PATH",
    "2 3 SUBSTR SUBSTRING REPLACE CHARINDEX LPAD RPAD CONVERT_TIMEZONE",
    "3 3 IFF NVL2 DATEADD TIMESTAMPADD DATEDIFF TIMESTAMPDIFF DATE_FROM_PARTS SPLIT_PART",
)


def calls(sql: str) -> list[tuple[tuple[str, ...], Token]]:
    """Every function called in the text: its name's parts, and where it stands."""
    tokens = tokenize(sql)
    found = []
    for at, token in enumerate(tokens[:-1]):
        if token.kind not in (WORD, QUOTED) or not tokens[at + 1].is_sign("("):
            continue
        first = at
        while first >= 2 and tokens[first - 1].is_sign(".") and tokens[first - 2].kind in (WORD, QUOTED):
            first -= 2
        parts = tuple(tokens[i].value for i in range(first, at + 1, 2))
        before = tokens[first - 1] if first else None
        if (
            len(parts) == 1
            and token.kind == WORD
            and token.value in _NOT_CALLED
            and token.value not in ("LEFT", "RIGHT")
        ):
            continue
        if before is not None and _is_name(before, tokens, first):
            continue
        found.append((parts, token))
    return found


def _is_name(before: Token, tokens: list[Token], first: int) -> bool:
    """Does a name stand here, not a call: `INTO t (…)`, `WITH c (…)`, `, c (…) AS (`, `) alias (…)`, `t alias (…)`?"""
    if before.kind == WORD and before.value in _NAMES_FOLLOW:
        return True
    if before.is_sign(")") or before.kind == QUOTED:
        return True
    if before.kind == WORD and before.value not in _NOT_CALLED and before.value not in _KEYWORDS:
        return True
    return before.is_sign(",") and _is_cte(tokens, first)


def _is_cte(tokens: list[Token], at: int) -> bool:
    """`name ( … ) AS (`: the second of two common table expressions."""
    depth = 0
    while tokens[at].kind != END:
        depth += tokens[at].is_sign("(") - tokens[at].is_sign(")")
        if depth == 0 and tokens[at].is_sign(")"):
            return tokens[at + 1].is_word("AS") and tokens[at + 2].is_sign("(")
        at += 1
    return False


def check(sql: str, own: set[str]) -> None:
    """Raise 002140 for a function that the stand-in does not have and that is none of the account's own."""
    for parts, token in calls(sql):
        name = parts[-1]
        if len(parts) == 1 and token.kind == WORD and name in KNOWN:
            _check_arguments(sql, token)
            continue
        if name in own or (parts[-2:-1] == ("INFORMATION_SCHEMA",) and name in _TABLE_FUNCTIONS):
            continue
        if name.startswith("SYSTEM$"):
            raise unsupported(name)
        raise unknown_function(".".join(parts))


def _check_arguments(sql: str, function: Token) -> None:
    """Raise 000938 or 000939 for a call with fewer or more arguments than the function takes."""
    if function.value not in _ARGUMENTS:
        return
    least, most = _ARGUMENTS[function.value]
    depth, given = 0, 0
    for token in (token for token in tokenize(sql) if token.start >= function.end):
        depth += token.is_sign("(", "[", "{") - token.is_sign(")", "]", "}")
        if depth == 0:
            break
        given += token.is_sign(",") and depth == 1 or given == 0 and not token.is_sign("(")
    if not least <= given <= most:
        words, number = ("not enough", 938) if given < least else ("too many", 939)
        expected = least if given < least else most
        text = f"{words} arguments for function [{function.value}], expected {expected}, got {given}"
        raise compilation_error(number, "22023", text)
