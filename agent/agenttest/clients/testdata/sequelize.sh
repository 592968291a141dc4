. "$LIB/lib.sh"
packages pg@8.23.1 sequelize@6.37.8
exec node sequelize.js
