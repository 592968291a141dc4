. "$LIB/lib.sh"
# alembic.txt is what SQLAlchemy's inspector says of PostgreSQL 15: the same program with ALEMBIC_WRITE=1 says it.
debs python3-sqlalchemy python3-sqlalchemy-ext python3-greenlet python3-alembic python3-mako python3-markupsafe \
	python3-editor python3-dateutil python3-six python3-psycopg2
PYTHONPATH="$WORK/root/usr/lib/python3/dist-packages:$LIB" exec timeout 300 /usr/bin/python3 "$LIB/alembic_types.py" "$LIB/alembic.txt"
