"""The three tables of ``lastfm_tags.db`` (and of the clean database, which has the same)."""

from __future__ import annotations

from sqlalchemy import Column, Float, Integer, MetaData, Table, Text

METADATA = MetaData()
TIDS = Table("tids", METADATA, Column("tid", Text))
TAGS = Table("tags", METADATA, Column("tag", Text))
# tid and tag are the ROWIDs of the other two tables, val is 0 to 100.
TID_TAG = Table(
    "tid_tag", METADATA, Column("tid", Integer), Column("tag", Integer), Column("val", Float)
)
