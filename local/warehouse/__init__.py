"""A Snowflake account on this machine: fakesnow behind a layer that refuses what it does not know.

`python -m local.warehouse`.
"""
