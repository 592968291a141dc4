. "$LIB/lib.sh"
module gorm gorm.io/gorm@v1.31.2 gorm.io/driver/postgres@v1.6.3
exec "$WORK/client"
