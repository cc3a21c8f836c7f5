"""Rows of REPORT_CONFIG for tests: put in by plain SQL, and read back."""

import json


def insert(warehouse, **columns):
    """INSERT one request and return its CONFIG_ID; a dict or a list goes into a VARIANT."""
    values = [json.dumps(value) if isinstance(value, dict | list) else value for value in columns.values()]
    marks = ["PARSE_JSON(?)" if isinstance(value, dict | list) else "?" for value in columns.values()]
    warehouse.change(f"INSERT INTO REPORT_CONFIG ({', '.join(columns)}) SELECT {', '.join(marks)}", values)
    ((config_id,),) = warehouse.rows("SELECT MAX(CONFIG_ID) FROM REPORT_CONFIG")
    return int(config_id)


def row(warehouse, config_id):
    """A request as a dict."""
    with warehouse.batches("SELECT * FROM REPORT_CONFIG WHERE CONFIG_ID = ?", (config_id,)) as tables:
        return next(tables).to_pylist()[0]
