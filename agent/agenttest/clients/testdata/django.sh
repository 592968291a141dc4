. "$LIB/lib.sh"
debs python3-django python3-asgiref python3-sqlparse python3-tz python3-typing-extensions python3-psycopg2
PYTHONPATH="$WORK/root/usr/lib/python3/dist-packages:$LIB" exec /usr/bin/python3 "$LIB/django_app.py"
