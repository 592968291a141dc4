. "$LIB/lib.sh"
packages pg@8.23.1 knex@3.3.0
exec node knex.js
