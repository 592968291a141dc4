. "$LIB/lib.sh"
# generate asks for the native schema engine, and does not run it: migrations are made by the one in wasm.
packages --ignore-scripts pg@8.23.1 prisma@7.10.1 @prisma/client@7.10.0 @prisma/adapter-pg@7.10.1 @prisma/driver-adapter-utils@7.10.1 \
	@prisma/schema-engine-wasm@8.1.0-2.59be4fda12412a79eeb9c2ae727b6aa723593323
cp "$LIB/prisma/schema.prisma" "$WORK"
echo "module.exports = { schema: 'schema.prisma', datasource: { url: 'postgresql://localhost/none' } };" >"$WORK/prisma.config.js"
PRISMA_SCHEMA_ENGINE_BINARY=/bin/true CHECKPOINT_DISABLE=1 npx prisma generate >"$WORK/generate.log" 2>&1 || skip "prisma generate: $(grep -m 1 Error "$WORK/generate.log")"
exec node prisma.js
