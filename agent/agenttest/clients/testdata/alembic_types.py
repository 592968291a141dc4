"""Alembic over all types of columns and kinds of constraints: it finds nothing to change after its own migration."""

import os
import sys
import traceback
import warnings

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.dialects import postgresql as pg

from steps import end, flat, step

warnings.simplefilter("ignore")
engine = sa.create_engine("postgresql+psycopg2://")  # the environment says where
meta = sa.MetaData()
mood = pg.ENUM("glad", "sad", "so so", name="mood", metadata=meta)
said = []

types = {
    "small": sa.SmallInteger, "whole": sa.Integer, "big": sa.BigInteger, "exact": sa.Numeric, "money_like": sa.Numeric(12, 2), "digits": sa.Numeric(5), "single": sa.REAL, "double_one": pg.DOUBLE_PRECISION,
    "yes": sa.Boolean, "words": sa.Text, "name": sa.String, "short": sa.String(20), "fixed": sa.CHAR(5), "bytes": sa.LargeBinary, "day": sa.Date, "at": sa.DateTime, "at_zone": sa.DateTime(timezone=True),
    "at_three": pg.TIMESTAMP(timezone=True, precision=3), "clock": sa.Time, "clock_zone": sa.Time(timezone=True), "clock_two": pg.TIME(precision=2), "span": pg.INTERVAL, "span_days": pg.INTERVAL(fields="DAY"),
    "span_parts": pg.INTERVAL(precision=3), "key": pg.UUID, "doc": pg.JSON, "docb": pg.JSONB, "host": pg.INET, "net": pg.CIDR, "bits": pg.BIT(4), "bits_many": pg.BIT(8, varying=True), "number": pg.OID,
    "feeling": mood, "wholes": pg.ARRAY(sa.Integer), "shorts": pg.ARRAY(sa.String(20)), "exacts": pg.ARRAY(sa.Numeric(10, 2)), "ats": pg.ARRAY(sa.DateTime(timezone=True)), "feelings": pg.ARRAY(mood),
}
defaults = {
    "small": "7", "big": "-1", "exact": "1.50", "money_like": "0", "double_one": "0.5", "yes": "true", "words": "'a b'", "short": "'x'", "fixed": "'abc'", "day": "'2024-02-29'", "at": "now()", "at_zone": "CURRENT_TIMESTAMP",
    "clock": "'12:00'", "span": "'1 day'", "key": "gen_random_uuid()", "docb": "'{}'", "host": "'10.0.0.1'", "feeling": "'sad'", "wholes": "'{1,2}'",
}
everything = sa.Table("everything", meta, sa.Column("id", sa.Integer, primary_key=True), *[sa.Column(n, t() if isinstance(t, type) else t, comment=f"of {n}") for n, t in types.items()], comment="one of each")
sa.Table("everything_default", meta, sa.Column("id", sa.Integer, primary_key=True),
    *[sa.Column(n, (t() if isinstance(t, type) else t), nullable=False, server_default=sa.text(defaults[n])) for n, t in types.items() if n in defaults])
sa.Table(
    "parent", meta,
    sa.Column("a", sa.Integer), sa.Column("b", sa.String(10)), sa.Column("code", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("a", "b", name="pk_parent"), sa.UniqueConstraint("code", "a", name="uq_parent"), sa.CheckConstraint("a > 0", name="ck_parent_a"),
)
sa.Table(
    "child", meta,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True, start=10, increment=5), primary_key=True), sa.Column("other", sa.Integer, sa.Identity()),
    sa.Column("a", sa.Integer), sa.Column("b", sa.String(10)), sa.Column("self_id", sa.ForeignKey("child.id", name="fk_self", ondelete="SET NULL")),
    sa.Column("price", sa.Numeric(10, 2)), sa.Column("amount", sa.Integer), sa.Column("total", sa.Integer, sa.Computed("abs(amount)", persisted=True)),
    sa.Column("title", sa.Text), sa.Column("doc", pg.JSONB), sa.Column("tags", pg.ARRAY(sa.Text)),
    sa.ForeignKeyConstraint(["a", "b"], ["parent.a", "parent.b"], name="fk_parent", ondelete="CASCADE", onupdate="RESTRICT", deferrable=True, initially="DEFERRED"),
    sa.CheckConstraint("amount < 100", name="ck_child"),
    sa.Index("ix_title_price", "title", "price"), sa.Index("ix_unique", "title", "amount", unique=True, postgresql_where=sa.text("amount IS NOT NULL")),
    sa.Index("ix_lower", sa.text("lower(title)")), sa.Index("ix_doc", "doc", postgresql_using="gin"), sa.Index("ix_include", "amount", postgresql_include=["price"]),
)


def explain(error):
    cause = getattr(error, "orig", None)
    return getattr(cause, "pgcode", None), cause or "".join(traceback.format_exception(error)[-1:]), getattr(error, "statement", "")


def differences():
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, meta)


def inspected(*calls):
    """Holds what calls of the inspector say of all tables against what they say of PostgreSQL."""

    def run():
        look = sa.inspect(engine)
        said.clear()
        for table in sorted(meta.tables):
            for call in calls:
                found = getattr(look, call)(table)
                found = found if isinstance(found, list) else [found]
                if call != "get_columns":  # which are in their order
                    found = sorted(found, key=lambda f: f.get("name") or "")
                for one in found:
                    said.append(f"{table} {call}: {flat({k: one[k] for k in sorted(one)})}")
        if os.environ.get("ALEMBIC_WRITE"):
            print("\n".join(said), file=sys.stderr)
            return
        with open(sys.argv[1]) as kept:
            expected = [line.rstrip("\n") for line in kept if any(f" {call}: " in line for call in calls)]
        wrong = [f"got {g} want {w}" for g, w in zip(said, expected) if g != w]
        assert len(said) == len(expected) and not wrong, wrong[:3] or f"{len(said)} lines, {len(expected)} expected"

    return run


def nothing():
    found = differences()
    assert not found, found


def reflect():
    """What is reflected makes the same tables in another schema."""
    copy = sa.MetaData()
    copy.reflect(engine)
    assert set(copy.tables) == set(meta.tables), set(copy.tables)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA copies"))
    again = sa.MetaData(schema="copies")
    for name in ("everything", "parent"):
        copy.tables[name].to_metadata(again, schema="copies")
    again.create_all(engine)
    assert [c["name"] for c in sa.inspect(engine).get_columns("everything", schema="copies")] == [c.name for c in everything.columns]


def drop():
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA copies CASCADE"))
    meta.drop_all(engine)
    assert sa.inspect(engine).get_table_names() == []


step("create", lambda: meta.create_all(engine), explain)
step("nothing to change", nothing, explain, ["create"])
step("columns", inspected("get_columns"), explain, ["create"])
step("keys", inspected("get_pk_constraint", "get_unique_constraints", "get_foreign_keys", "get_check_constraints"), explain, ["create"])
step("indexes", inspected("get_indexes"), explain, ["create"])
step("comments", inspected("get_table_comment"), explain, ["create"])
step("reflect", reflect, explain, ["create"])
step("drop", drop, explain, ["reflect"])
engine.dispose()
end()
