. "$LIB/lib.sh"
debs python3-asyncpg
PYTHONPATH="$WORK/root/usr/lib/python3/dist-packages:$LIB" exec timeout 120 /usr/bin/python3 "$LIB/asyncpg_app.py"
