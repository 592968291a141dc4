"""The first hour of Django: its own tables, an application's, migrations forwards and backwards."""

import io
import os
import sys

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x",
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.admin",
                    "django.contrib.messages"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"],
        "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
    }},
)
django.setup()

from django.contrib.auth.models import Group, User  # noqa: E402: after setup()
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, migrations, models, transaction  # noqa: E402
from django.db.migrations.state import ModelState, ProjectState  # noqa: E402

from steps import end, step  # noqa: E402

last = [""]


def watch(execute, sql, params, many, context):
    last[0] = sql
    return execute(sql, params, many, context)


def explain(error):
    cause = error.__cause__ or error
    return getattr(cause, "pgcode", None), cause if str(cause) else repr(cause), last[0]


class Author(models.Model):
    name = models.CharField(max_length=50, db_index=True)
    email = models.EmailField(unique=True)
    meta = models.JSONField(default=dict)
    made = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "library"


class Book(models.Model):
    title = models.CharField(max_length=100)
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
    price = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    tags = models.ManyToManyField(Group)

    class Meta:
        app_label = "library"
        constraints = [
            models.UniqueConstraint(fields=["author", "title"], name="one_title"),
            models.CheckConstraint(check=models.Q(price__gte=0), name="price_positive"),
        ]
        indexes = [models.Index(fields=["-price"], name="book_price")]


def create():
    with connection.schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Book)


def crud():
    ada = Author.objects.create(name="Ada", email="ada@example.test", meta={"tags": ["x"]})
    Book.objects.bulk_create([Book(title=f"Book {n}", author=ada, price=n) for n in range(5)])
    book = Book.objects.select_related("author").get(title="Book 1")
    book.tags.add(Group.objects.create(name="readers"))
    book.price = 7
    book.save()
    Book.objects.filter(price__lt=1).delete()
    found = Book.objects.filter(author__meta__tags__contains=["x"]).values("author__name").annotate(n=models.Count("id"))
    assert [(f["author__name"], f["n"]) for f in found] == [("Ada", 4)]
    assert Author.objects.get_or_create(email="ada@example.test", defaults={"name": "?"})[1] is False
    assert Author.objects.update_or_create(email="bob@example.test", defaults={"name": "Bob"})[1] is True
    Author.objects.filter(email="bob@example.test").update(name=models.functions.Upper("name"))
    Book.objects.bulk_update(list(Book.objects.all()), ["price"])


def nested():
    with transaction.atomic():
        Author.objects.create(name="Cy", email="cy@example.test")
        try:
            with transaction.atomic():
                Author.objects.create(name="Twin", email="cy@example.test")
        except IntegrityError:
            pass
        assert len(Author.objects.select_for_update().filter(name__in=["Cy", "Twin"])) == 1


def dates():
    assert Author.objects.dates("made", "month").count() == 1
    assert Author.objects.filter(made__year__gte=2020).exists()


def inspect():
    out = io.StringIO()
    call_command("inspectdb", stdout=out)
    assert "Unable to inspect" not in out.getvalue(), out.getvalue()
    assert "class LibraryBook" in out.getvalue()


def migrate(*operations, back=False):
    def run():
        for operation in operations:
            with connection.schema_editor() as editor:
                old, new = now[0], now[0].clone()
                operation.state_forwards("library", new)
                operation.database_forwards("library", editor, old, new)
            if back:
                with connection.schema_editor() as editor:
                    operation.database_backwards("library", editor, new, old)
            else:
                now[0] = new
    return run


now = [None]


def begin():
    now[0] = ProjectState.from_apps(django.apps.apps)
    for model in (Author, Book):
        now[0].add_model(ModelState.from_model(model))


add_column = migrations.AddField("author", "age", models.IntegerField(null=True))
add_not_null = migrations.AddField("author", "active", models.BooleanField(default=True))
add_reference = migrations.AddField("book", "editor", models.ForeignKey("library.Author", null=True, on_delete=models.SET_NULL, related_name="+"))
rename = migrations.RenameField("author", "age", "years")
widen = migrations.AlterField("author", "name", models.CharField(max_length=80, db_index=True))
not_null = migrations.AlterField("author", "meta", models.JSONField(null=True))
index = migrations.AddIndex("author", models.Index(fields=["made"], name="author_made"))
unique = migrations.AddConstraint("author", models.UniqueConstraint(fields=["name", "email"], name="name_email"))
table = migrations.RenameModel("Book", "Volume")

needs = {"migrate": (), "create tables": (), "user": ("migrate",), "migrate to zero": ("migrate",), "flush": ("migrate",)}
with connection.execute_wrapper(watch):
    for name, run in (
        ("migrate", lambda: call_command("migrate", verbosity=0)),
        ("user", lambda: User.objects.create_superuser("root", "root@example.test", "secret")),
        ("create tables", create),
        ("crud", crud),
        ("savepoint", nested),
        ("iterator", lambda: list(Book.objects.iterator())),
        ("dates", dates),
        ("inspectdb", inspect),
        ("state of the models", begin),
        ("add column", migrate(add_column)),
        ("add NOT NULL column", migrate(add_not_null)),
        ("rename column", migrate(rename)),
        ("widen column", migrate(widen)),
        ("drop NOT NULL", migrate(not_null)),
        ("add foreign key", migrate(add_reference)),
        ("add index", migrate(index)),
        ("add unique", migrate(unique)),
        ("rename table and back", migrate(table, back=True)),
        ("down", migrate(migrations.RemoveField("author", "years"), migrations.RemoveConstraint("book", "one_title"))),
        ("drop table", migrate(migrations.DeleteModel("Book"))),
        ("migrate to zero", lambda: call_command("migrate", "admin", "zero", verbosity=0)),
        ("flush", lambda: call_command("flush", verbosity=0, interactive=False, allow_cascade=True)),
    ):
        step(name, run, explain, needs.get(name, ("migrate", "create tables")))
        if connection.in_atomic_block:  # what a failed schema_editor leaves behind
            connection.close()
            connection.in_atomic_block = False
end()
