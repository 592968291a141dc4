. "$LIB/lib.sh"
packages pg@8.23.1 drizzle-orm@0.45.4 drizzle-kit@0.31.11
exec node drizzle.js
