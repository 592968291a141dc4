. "$LIB/lib.sh"
packages pg@8.23.1 typeorm@1.1.1 reflect-metadata@0.2.2
exec node typeorm.js
