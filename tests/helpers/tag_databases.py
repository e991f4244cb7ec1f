"""Clean tag databases and what they hold."""

from __future__ import annotations

import re
import sqlite3

from beam_pipelines.clean_tags import main
from beam_pipelines.tags.cleaning import PASSES, Pass, decade_key

# The 2019 rules, where a decade may belong to two centuries: "1900s" went to "00s" and
# "2080s" to "80s". With them as one's own passes the 2019 results come out to the letter.
PASSES_OF_2019 = (
    *PASSES[:4],
    *(
        Pass(
            f"decades as {century}",
            lambda tag: re.search(r"\b\d0s", tag) is not None,
            lambda tag, century=century: decade_key(tag, "0-9", century),
        )
        for century in ("19", "20")
    ),
)


def run(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


def dump(path):
    connection = sqlite3.connect(path)
    tables = {name: connection.execute(f"SELECT rowid, * FROM {name}").fetchall()
              for name in ("tids", "tags", "tid_tag")}  # fmt: skip
    connection.close()
    return tables
