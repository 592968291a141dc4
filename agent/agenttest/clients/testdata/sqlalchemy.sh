. "$LIB/lib.sh"
debs python3-sqlalchemy python3-sqlalchemy-ext python3-greenlet python3-alembic python3-mako python3-markupsafe \
	python3-editor python3-dateutil python3-six python3-psycopg2
PYTHONPATH="$WORK/root/usr/lib/python3/dist-packages:$LIB" exec /usr/bin/python3 "$LIB/sqlalchemy_alembic.py"
