. "$LIB/lib.sh"
# java/jdbc.txt is what PostgreSQL 15 gives: the same program with JDBC_WRITE=1 says it.
command -v java >/dev/null || skip "no java"
debs libpostgresql-jdbc-java libscram-java libstringprep-java
jars="$WORK/root/usr/share/java"
exec java -cp "$jars/postgresql.jar:$jars/scram-client.jar:$jars/scram-common.jar:$jars/saslprep.jar:$jars/stringprep.jar" "$LIB/java/Jdbc.java" "$LIB/java/jdbc.txt"
