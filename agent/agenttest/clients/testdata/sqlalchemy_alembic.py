"""The first hour of SQLAlchemy with Alembic."""

import enum
import traceback
import warnings
from datetime import datetime, timezone

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Session, declarative_base, relationship

from steps import end, step

warnings.simplefilter("ignore")
engine = sa.create_engine("postgresql+psycopg2://")  # the environment says where
Base = declarative_base()


class Mood(enum.Enum):
    glad = 1
    sad = 2


class Author(Base):
    __tablename__ = "authors"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(50), nullable=False, index=True)
    email = sa.Column(sa.Text, unique=True)
    mood = sa.Column(sa.Enum(Mood), server_default="glad")
    meta = sa.Column(JSONB)
    made = sa.Column(sa.DateTime(timezone=True), server_default=sa.func.now())
    books = relationship("Book", back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "books"
    id = sa.Column(sa.BigInteger, sa.Identity(), primary_key=True)
    title = sa.Column(sa.String, nullable=False)
    price = sa.Column(sa.Numeric(10, 2), server_default="0")
    out = sa.Column(sa.Date)
    author_id = sa.Column(sa.ForeignKey("authors.id", ondelete="CASCADE"), nullable=False)
    author = relationship("Author", back_populates="books")
    __table_args__ = (
        sa.UniqueConstraint("author_id", "title", name="uq_books_author_title"),
        sa.CheckConstraint("price >= 0", name="ck_books_price"),
        sa.Index("ix_books_title_lower", sa.text("lower(title)")),
        sa.Index("ix_books_out", "out", postgresql_where=sa.text("out IS NOT NULL")),
    )


def explain(error):
    cause = getattr(error, "orig", None)
    return getattr(cause, "pgcode", None), cause or "".join(traceback.format_exception(error)[-2:]), getattr(error, "statement", "")


def migrate(run):
    """What one revision does: in a transaction, with a note of its version."""
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        context._ensure_version_table()
        run(Operations(context))


def crud():
    with Session(engine) as session:
        ada = Author(name="Ada", email="ada@example.test", mood=Mood.sad, meta={"tags": ["x"]})
        ada.books = [Book(title=f"Book {n}", price=n) for n in range(5)]
        session.add(ada)
        session.commit()
        assert session.query(Author).filter(Author.meta["tags"][0].astext == "x").one().mood is Mood.sad
        ada.name = "Ada L."
        session.delete(ada.books[0])
        session.commit()
        joined = sa.select(Author.name, sa.func.count()).join(Author.books).group_by(Author.name)
        assert session.execute(joined).all() == [("Ada L.", 4)]


def upsert():
    with engine.begin() as connection:
        for name in ("Bob", "Bert"):
            new = insert(Author).values(name=name, email="bob@example.test")
            connection.execute(new.on_conflict_do_update(index_elements=["email"], set_={"name": new.excluded.name}))
        assert connection.scalar(sa.text("select name from authors where email = 'bob@example.test'")) == "Bert"


def nested():
    with Session(engine) as session:
        session.add(Author(name="Cy", email="cy@example.test"))
        try:
            with session.begin_nested():
                session.add(Author(name="Twin", email="cy@example.test"))
        except sa.exc.IntegrityError as error:
            assert error.orig.diag.constraint_name == "authors_email_key", error.orig.diag.constraint_name
        session.commit()
        assert session.query(Author).filter_by(name="Cy").with_for_update().one().made < datetime.now(timezone.utc)


def stream():
    with engine.connect().execution_options(stream_results=True) as connection:
        assert len(list(connection.execute(sa.select(Book.id)))) > 0


def introspect():
    look = sa.inspect(engine)
    assert look.get_pk_constraint("authors")["constrained_columns"] == ["id"]
    assert {i["name"] for i in look.get_indexes("books")} >= {"ix_books_out"}  # 1.4 does not know expressions
    assert look.get_foreign_keys("books")[0]["options"] == {"ondelete": "CASCADE"}
    assert look.get_unique_constraints("books")[0]["name"] == "uq_books_author_title"
    assert look.get_check_constraints("books")[0]["name"] == "ck_books_price"
    assert look.get_enums()[0]["labels"] == ["glad", "sad"], look.get_enums()
    sa.MetaData().reflect(engine)


def identity():
    columns = {c["name"]: c for c in sa.inspect(engine).get_columns("books")}
    assert columns["id"]["identity"]["always"] is False


def autogenerate():
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
        assert [d for d in found if d[0] != "remove_table"] == [], found


def add_columns(op):
    op.add_column("authors", sa.Column("age", sa.Integer, nullable=True))
    op.add_column("authors", sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()))


def add_table(op):
    op.create_table("publishers", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text, nullable=False))
    op.create_index("ix_publishers_name", "publishers", ["name"], unique=True)
    op.bulk_insert(sa.table("publishers", sa.column("name", sa.Text)), [{"name": "A"}, {"name": "B"}])


def add_reference(op):
    op.add_column("books", sa.Column("publisher_id", sa.Integer))
    op.create_foreign_key("fk_books_publisher", "books", "publishers", ["publisher_id"], ["id"], ondelete="SET NULL")


def alter(op):
    op.alter_column("authors", "age", new_column_name="years")
    op.alter_column("authors", "years", type_=sa.BigInteger)
    op.alter_column("authors", "name", type_=sa.String(80))
    op.execute("UPDATE authors SET years = 1")
    op.alter_column("authors", "years", nullable=False, server_default="0")


def back(op):
    op.drop_constraint("fk_books_publisher", "books", type_="foreignkey")
    op.drop_column("books", "publisher_id")
    op.drop_index("ix_publishers_name")
    op.drop_table("publishers")
    op.drop_constraint("uq_books_author_title", "books")
    op.drop_column("authors", "years")


needs = {"down": ("add foreign key", "alter columns")}
for name, run in (
    ("create_all", lambda: Base.metadata.create_all(engine)),
    ("crud", crud),
    ("upsert", upsert),
    ("savepoint", nested),
    ("server-side cursor", stream),
    ("introspection", introspect),
    ("identity", identity),
    ("autogenerate", autogenerate),
    ("add columns", lambda: migrate(add_columns)),
    ("add table", lambda: migrate(add_table)),
    ("add foreign key", lambda: migrate(add_reference)),
    ("add index", lambda: migrate(lambda op: op.create_index("ix_authors_made", "authors", ["made"]))),
    ("add unique", lambda: migrate(lambda op: op.create_unique_constraint("uq_authors_name", "authors", ["name", "email"]))),
    ("alter columns", lambda: migrate(alter)),
    ("down", lambda: migrate(back)),
    ("drop_all", lambda: Base.metadata.drop_all(engine)),
):
    step(name, run, explain, needs.get(name, ()))
end()
