. "$LIB/lib.sh"
module goose github.com/pressly/goose/v3@v3.30.1
exec "$WORK/client"
