"""Small Last.fm databases."""

from __future__ import annotations

from beam_pipelines.tags.database import create_database


def make_database(path, tids, tags, pairs):
    connection = create_database(str(path))
    connection.executemany("INSERT INTO tids VALUES (?)", [(tid,) for tid in tids])
    connection.executemany("INSERT INTO tags VALUES (?)", [(tag,) for tag in tags])
    connection.executemany("INSERT INTO tid_tag VALUES (?, ?, ?)", pairs)
    connection.commit()
    connection.close()
    return str(path)
