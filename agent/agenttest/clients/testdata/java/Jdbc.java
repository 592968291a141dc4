import java.sql.*;
import java.time.OffsetDateTime;
import java.util.*;

/** The first hour of JDBC, by what Hibernate and IDEs ask. Each step says what it saw. */
public class Jdbc {
	interface Step { void run() throws Exception; }

	static Connection c;
	static StringBuilder seen = new StringBuilder();
	static Map<String, String> expected = new LinkedHashMap<>();
	static boolean write = System.getenv("JDBC_WRITE") != null;

	static String env(String name) { return System.getenv(name); }

	static Connection connect(String mode, String more) throws SQLException {
		Properties p = new Properties();
		p.setProperty("user", env("PGUSER"));
		if (env("PGPASSWORD") != null) p.setProperty("password", env("PGPASSWORD"));
		if ("verify-full".equals(env("PGSSLMODE"))) {
			p.setProperty("sslmode", "verify-full");
			p.setProperty("sslrootcert", env("PGSSLROOTCERT"));
		}
		p.setProperty("preferQueryMode", mode);
		p.setProperty("prepareThreshold", "1");
		p.setProperty("reWriteBatchedInserts", "true");
		return DriverManager.getConnection("jdbc:postgresql://" + env("PGHOST") + ":" + env("PGPORT") + "/" + env("PGDATABASE") + more, p);
	}

	static void say(Object o) { seen.append(o).append('\n'); }

	static void exec(String... list) throws SQLException {
		try (Statement s = c.createStatement()) {
			for (String sql : list) s.execute(sql);
		}
	}

	static void rows(ResultSet r, String... columns) throws SQLException {
		while (r.next()) {
			List<String> out = new ArrayList<>();
			for (String name : columns) out.add(String.valueOf(r.getString(name)));
			say(String.join("|", out));
		}
		r.close();
	}

	static void query(String sql, Object... args) throws SQLException {
		for (int again = 0; again < 3; again++) { // named from the second on, binary maybe
			try (PreparedStatement s = c.prepareStatement(sql)) {
				for (int i = 0; i < args.length; i++) s.setObject(i + 1, args[i]);
				ResultSet r = s.executeQuery();
				int n = r.getMetaData().getColumnCount();
				while (r.next()) {
					List<String> out = new ArrayList<>();
					for (int i = 1; i <= n; i++) out.add(String.valueOf(r.getString(i)));
					if (again == 2) say(String.join("|", out));
				}
			}
		}
	}

	static final Map<String, Step> steps = new LinkedHashMap<>();

	static void create() throws Exception {
		exec("CREATE TABLE author (id serial PRIMARY KEY, name varchar(50) NOT NULL, email text UNIQUE, tags text[], meta jsonb, born timestamptz, key uuid, pay numeric(10,2) DEFAULT 0, active boolean NOT NULL DEFAULT true)",
			"CREATE TABLE book (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, author_id int NOT NULL REFERENCES author (id) ON DELETE CASCADE, title text NOT NULL, price numeric(10,2) CHECK (price >= 0), out date, UNIQUE (author_id, title))",
			"CREATE INDEX book_out ON book (out DESC, price)", "CREATE SEQUENCE hibernate_sequence", "COMMENT ON TABLE author IS 'who writes'", "COMMENT ON COLUMN author.name IS 'the name'",
			"CREATE VIEW cheap AS SELECT id, title FROM book WHERE price < 5", "CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x * 2'");
	}

	static void crud() throws Exception {
		try (PreparedStatement s = c.prepareStatement("INSERT INTO author (name, email, tags, meta, born, key) VALUES (?, ?, ?, ?::jsonb, ?, ?)", Statement.RETURN_GENERATED_KEYS)) {
			for (int i = 1; i <= 3; i++) {
				s.setString(1, "Ada " + i);
				s.setString(2, "ada" + i + "@example.test");
				s.setArray(3, c.createArrayOf("text", new String[] {"x", "y, \"z\""}));
				s.setString(4, "{\"a\": {\"b\": " + i + "}}");
				s.setObject(5, OffsetDateTime.parse("2026-01-31T12:00:00.123456+02:00"));
				s.setObject(6, UUID.fromString("00000000-0000-0000-0000-00000000000" + i));
				say(s.executeUpdate());
				ResultSet keys = s.getGeneratedKeys();
				keys.next();
				say(keys.getInt("id"));
			}
		}
		for (int again = 0; again < 3; again++) {
			try (PreparedStatement s = c.prepareStatement("SELECT id, tags, meta, born, key, pay, active FROM author WHERE id = ANY (?) ORDER BY id")) {
				s.setArray(1, c.createArrayOf("int4", new Integer[] {1, 3}));
				ResultSet r = s.executeQuery();
				while (r.next()) say(r.getInt(1) + " " + Arrays.toString((Object[]) r.getArray(2).getArray()) + " " + r.getString(3) + " " + r.getObject(4, OffsetDateTime.class).toInstant()
					+ " " + r.getObject(5) + " " + r.getBigDecimal(6) + " " + r.getBoolean(7));
			}
		}
		query("SELECT name FROM author WHERE meta @> ?::jsonb", "{\"a\": {\"b\": 2}}");
		query("UPDATE author SET pay = pay + ? WHERE id = ? RETURNING pay", new java.math.BigDecimal("1.50"), 1);
		query("SELECT count(*) FROM author WHERE born < ? AND email LIKE ?", OffsetDateTime.parse("2027-01-01T00:00:00Z"), "ada%");
	}

	static void batch() throws Exception {
		try (PreparedStatement s = c.prepareStatement("INSERT INTO book (author_id, title, price, out) VALUES (?, ?, ?, ?)")) {
			for (int i = 1; i <= 100; i++) {
				s.setInt(1, 1 + i % 3);
				s.setString(2, "Book " + i);
				s.setBigDecimal(3, new java.math.BigDecimal(i).movePointLeft(1));
				s.setDate(4, java.sql.Date.valueOf("2026-01-01"));
				s.addBatch();
			}
			say(s.executeBatch().length);
		}
		query("SELECT count(*), sum(price) FROM book");
		try (Statement s = c.createStatement()) {
			s.addBatch("INSERT INTO author (name) VALUES ('one')");
			s.addBatch("INSERT INTO author (id, name) VALUES (1, 'twin')");
			s.executeBatch();
		} catch (BatchUpdateException e) {
			say(e.getSQLState() + " " + Arrays.toString(e.getUpdateCounts()));
		}
		query("SELECT count(*) FROM author");
	}

	static void transactions() throws Exception {
		c.setAutoCommit(false);
		exec("INSERT INTO author (name, email) VALUES ('Cy', 'cy@example.test')");
		Savepoint sp = c.setSavepoint("s1");
		try {
			exec("INSERT INTO author (name, email) VALUES ('Twin', 'cy@example.test')");
		} catch (SQLException e) {
			org.postgresql.util.ServerErrorMessage m = ((org.postgresql.util.PSQLException) e).getServerErrorMessage();
			say(e.getSQLState() + " " + m.getConstraint() + " " + m.getTable() + " " + m.getDetail());
		}
		c.rollback(sp);
		c.commit();
		c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
		exec("DELETE FROM author WHERE name = 'Cy'");
		c.rollback();
		c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
		try (Statement s = c.createStatement()) {
			s.setFetchSize(10);
			ResultSet r = s.executeQuery("SELECT title FROM book ORDER BY id");
			int n = 0;
			while (r.next()) n++;
			say(n);
		}
		c.commit();
		c.setAutoCommit(true);
		c.setReadOnly(true);
		query("SELECT name FROM author WHERE email = 'cy@example.test'");
		c.setReadOnly(false);
	}

	static void result() throws Exception {
		try (PreparedStatement s = c.prepareStatement("SELECT a.id, a.name AS n, b.price * 2 AS p, count(*) FROM author a JOIN book b ON b.author_id = a.id WHERE a.id = ? GROUP BY a.id, a.name, b.price")) {
			ResultSetMetaData m = s.getMetaData();
			for (int i = 1; i <= m.getColumnCount(); i++) say(m.getColumnLabel(i) + " " + m.getColumnName(i) + " " + m.getColumnTypeName(i) + " " + m.getColumnType(i) + " " + m.getPrecision(i) + " " + m.getScale(i) + " " + m.isNullable(i) + " " + m.isAutoIncrement(i) + " [" + m.getTableName(i) + "]");
			ParameterMetaData p = s.getParameterMetaData();
			say(p.getParameterCount() + " " + p.getParameterTypeName(1));
		}
	}

	static void callable() throws Exception {
		try (CallableStatement s = c.prepareCall("{? = call twice(?)}")) {
			s.registerOutParameter(1, Types.INTEGER);
			s.setInt(2, 21);
			s.execute();
			say(s.getInt(1));
		}
	}

	static void metadata() throws Exception {
		DatabaseMetaData m = c.getMetaData();
		String[] types = {"TABLE", "VIEW", "SEQUENCE"};
		steps.put("getTables", () -> rows(m.getTables(null, "public", "%", types), "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE", "REMARKS"));
		steps.put("getColumns", () -> rows(m.getColumns(null, "public", "%", "%"), "TABLE_NAME", "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "COLUMN_SIZE", "DECIMAL_DIGITS", "NULLABLE", "REMARKS", "COLUMN_DEF", "ORDINAL_POSITION", "IS_NULLABLE", "IS_AUTOINCREMENT", "IS_GENERATEDCOLUMN"));
		steps.put("getPrimaryKeys", () -> { for (String t : new String[] {"author", "book"}) rows(m.getPrimaryKeys(null, "public", t), "TABLE_NAME", "COLUMN_NAME", "KEY_SEQ", "PK_NAME"); });
		String[] key = {"PKTABLE_NAME", "PKCOLUMN_NAME", "FKTABLE_NAME", "FKCOLUMN_NAME", "KEY_SEQ", "UPDATE_RULE", "DELETE_RULE", "FK_NAME", "PK_NAME", "DEFERRABILITY"};
		steps.put("getImportedKeys", () -> rows(m.getImportedKeys(null, "public", "book"), key));
		steps.put("getExportedKeys", () -> rows(m.getExportedKeys(null, "public", "author"), key));
		steps.put("getCrossReference", () -> rows(m.getCrossReference(null, "public", "author", null, "public", "book"), key));
		steps.put("getIndexInfo", () -> { for (String t : new String[] {"author", "book"}) rows(m.getIndexInfo(null, "public", t, false, true), "TABLE_NAME", "NON_UNIQUE", "INDEX_NAME", "TYPE", "ORDINAL_POSITION", "COLUMN_NAME", "ASC_OR_DESC", "FILTER_CONDITION"); });
		steps.put("getBestRowIdentifier", () -> rows(m.getBestRowIdentifier(null, "public", "book", DatabaseMetaData.bestRowSession, false), "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME"));
		steps.put("getTypeInfo", () -> {
			ResultSet r = m.getTypeInfo();
			Set<String> wanted = Set.of("int2", "int4", "int8", "bool", "text", "varchar", "numeric", "float8", "timestamptz", "date", "uuid", "jsonb", "bytea");
			TreeSet<String> out = new TreeSet<>();
			while (r.next()) if (wanted.contains(r.getString("TYPE_NAME"))) out.add(r.getString("TYPE_NAME") + "|" + r.getInt("DATA_TYPE") + "|" + r.getInt("PRECISION") + "|" + r.getBoolean("AUTO_INCREMENT"));
			for (String line : out) say(line);
		});
		steps.put("getSchemas", () -> { ResultSet r = m.getSchemas(); while (r.next()) if (!r.getString(1).startsWith("nodedb_")) say(r.getString(1)); });
		steps.put("getCatalogs", () -> { ResultSet r = m.getCatalogs(); boolean found = false; while (r.next()) found |= r.getString(1).equals(c.getCatalog()); say(found); });
		steps.put("getTableTypes", () -> rows(m.getTableTypes(), "TABLE_TYPE"));
		steps.put("getFunctions", () -> rows(m.getFunctions(null, "public", "%"), "FUNCTION_SCHEM", "FUNCTION_NAME", "FUNCTION_TYPE"));
		steps.put("getFunctionColumns", () -> rows(m.getFunctionColumns(null, "public", "twice", "%"), "FUNCTION_NAME", "COLUMN_NAME", "COLUMN_TYPE", "DATA_TYPE", "TYPE_NAME", "ORDINAL_POSITION"));
		steps.put("getProcedures", () -> rows(m.getProcedures(null, "public", "%"), "PROCEDURE_NAME", "PROCEDURE_TYPE"));
		steps.put("getUDTs", () -> rows(m.getUDTs(null, "public", "%", null), "TYPE_NAME", "DATA_TYPE"));
		steps.put("sequences of Hibernate", () -> query("select sequence_name, start_value, minimum_value, maximum_value, increment from information_schema.sequences order by 1"));
		steps.put("getTablePrivileges", () -> { ResultSet r = m.getTablePrivileges(null, "public", "book"); TreeSet<String> out = new TreeSet<>(); while (r.next()) out.add(r.getString("PRIVILEGE") + " " + r.getString("IS_GRANTABLE")); for (String s : out) say(s); });
		steps.put("getClientInfoProperties", () -> rows(m.getClientInfoProperties(), "NAME", "MAX_LEN"));
		steps.put("limits", () -> say(m.getMaxColumnNameLength() + " " + m.getMaxIndexLength() + " " + m.getDatabaseProductName() + " " + m.getDefaultTransactionIsolation()));
	}

	static boolean step(String name, Step f) {
		seen.setLength(0);
		try {
			f.run();
		} catch (Exception e) {
			String code = e instanceof SQLException ? ((SQLException) e).getSQLState() : "None";
			System.out.println("fail\t" + name + "\t" + code + "\t" + e.toString().replaceAll("\\s+", " ") + "\t");
			return false;
		}
		if (write) {
			System.out.print("== " + name + "\n" + seen);
			return true;
		}
		if (!seen.toString().equals(expected.get(name))) {
			System.out.println("fail\t" + name + "\tNone\tsaw " + seen.toString().replaceAll("\\s+", " ") + " and not " + String.valueOf(expected.get(name)).replaceAll("\\s+", " ") + "\t");
			return false;
		}
		System.out.println("ok\t" + name);
		return true;
	}

	public static void main(String[] args) throws Exception {
		if (!write) {
			String name = null;
			for (String line : java.nio.file.Files.readAllLines(java.nio.file.Path.of(args[0]))) {
				if (line.startsWith("== ")) expected.put(name = line.substring(3), "");
				else expected.merge(name, line + "\n", String::concat);
			}
		}
		for (String mode : new String[] {"simple", "extended"}) {
			step("connect " + mode, () -> { c = connect(mode, ""); query("SELECT 1, 'a'::text, ?::int", 7); if (mode.equals("simple")) c.close(); });
		}
		steps.put("create tables", Jdbc::create);
		steps.put("crud", Jdbc::crud);
		steps.put("batch", Jdbc::batch);
		steps.put("transactions", Jdbc::transactions);
		steps.put("result metadata", Jdbc::result);
		steps.put("callable statement", Jdbc::callable);
		metadata();
		steps.put("drop tables", () -> exec("DROP VIEW cheap", "DROP TABLE book, author", "DROP SEQUENCE hibernate_sequence", "DROP FUNCTION twice(int)"));
		boolean good = true;
		for (Map.Entry<String, Step> e : steps.entrySet()) good &= step(e.getKey(), e.getValue());
		if (!write) System.out.println("end");
		c.close();
		System.exit(good ? 0 : 1);
	}
}
