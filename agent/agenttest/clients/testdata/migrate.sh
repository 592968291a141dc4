. "$LIB/lib.sh"
module migrate github.com/golang-migrate/migrate/v4@v4.20.1
exec "$WORK/client"
