. "$LIB/lib.sh"
packages postgres@3.4.9
exec timeout 120 node postgresjs.js
