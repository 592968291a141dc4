. "$LIB/lib.sh"
packages pg@8.23.1 pg-cursor@2.22.1 pg-query-stream@4.17.0 pg-copy-streams@7.0.0
exec timeout 120 node nodepg.js
