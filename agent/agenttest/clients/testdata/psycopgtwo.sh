. "$LIB/lib.sh"
debs python3-psycopg2
PYTHONPATH="$WORK/root/usr/lib/python3/dist-packages:$LIB" exec timeout 120 /usr/bin/python3 "$LIB/psycopg_app.py" 2
