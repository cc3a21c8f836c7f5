"""What Schemathesis checks beside its own: right data is refused only by rules that JSON Schema has no words for."""

import re

import schemathesis

# The bounds and the order of dates, and what an e-mail address is beyond its format.
_WORDLESS = re.compile(
    r"(Parameter \w+ is '[^']*'; a date as yyyy-mm-dd from \S+ to \S+ is allowed\."
    r"|Parameter \w+ is \S+, later than \w+, which is \S+; it must not be later\."
    r"|Recipient \d+ is .*, which is no e-mail address: .*"
    r"|\s)+",
    re.DOTALL,
)


@schemathesis.check
def right_data_is_refused_for_wordless_rules_only(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 422:
        return
    refusal = response.json()["detail"]
    assert _WORDLESS.fullmatch(refusal), f"the document allows this, and it was refused: {refusal}"
