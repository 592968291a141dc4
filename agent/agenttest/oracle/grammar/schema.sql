create type mood as enum ('sad', 'ok', 'happy');
create table num (id int primary key, i2 int2, i4 int4, i8 int8, n numeric, n2 numeric(12,3), f4 float4, f8 float8, b bool);
insert into num values
  (1, 1, 1, 1, 1, 1.5, 1.5, 1.5, true), (2, 2, 2, 2, 2.5, 2.25, 2.5, 2.25, false), (3, -3, -3, -3, -3.75, -3, -3, -3.125, null),
  (4, null, null, null, null, null, null, null, null), (5, 0, 0, 0, 0, 0, 0, 0, true), (6, 32767, 2147483647, 9223372036854775807, 1e20, 999999999.999, 3e38, 1e300, false),
  (7, -32768, -2147483648, -9223372036854775808, -123456789012345678901234567890.123456789, -999999999.999, -3e38, -1e300, true),
  (8, 7, 7, 700, 0.001, 0.125, 'NaN', 'NaN', false), (9, 100, 100, 10000000000, 'NaN', 7, 'Infinity', '-Infinity', true),
  (10, 7, 7, 700, 12345.678, 100, 0.25, 1e-10, null), (11, 2, 12, 12, 'Infinity', null, 100, 3.5, false);
create table txt (id bigint primary key, t text, v varchar(10), c char(5), y bytea, u uuid, e mood, g int);
insert into txt values
  (1, 'abc', 'abc', 'abc', '\x616263', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'sad', 1), (2, 'ABC def', 'Abc', 'ab', '\x00ff', '00000000-0000-0000-0000-000000000000', 'ok', 1),
  (3, '', '', '', '', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'happy', 2), (4, null, null, null, null, null, null, null), (5, 'ünïcödé ☃', 'äöü', 'é', '\xdeadbeef', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', 'ok', 2),
  (6, 'a,b,,c', ' x ', ' y', '\x5c6e', null, 'sad', 3), (7, E'line\nnew\t"q" ''s'' \\ %_', '100%', 'a b', '\x61', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', null, 3),
  (8, '12', '12', '12', '\x3132', null, 'happy', null), (9, '2024-02-29', '-7.50', '7', '\x0102030405', null, 'happy', 7), (10, 'abc', 'zzz', 'abc', '\x616263', null, 'sad', 1);
create table dat (id int primary key, d date, tm time, ts timestamp, tz timestamptz, iv interval);
insert into dat values
  (1, '2024-02-29', '12:34:56.789', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789012+00', '1 year 2 mons 3 days 04:05:06.789'),
  (2, '1999-12-31', '23:59:59.999999', '1999-12-31 23:59:59.999999', '1999-12-31 23:59:59+00', '-1 day'), (3, '2000-01-01', '00:00', '2000-01-01', '2000-01-01 00:00+00', '0'),
  (4, null, null, null, null, null), (5, '2024-03-31', '01:30', '2024-03-31 02:30', '2024-03-31 01:00+00', '36 hours'), (6, '0044-03-15 BC', '24:00', '0044-03-15 12:00 BC', '0044-03-15 12:00+00 BC', '-1 mons +2 days -03:00:00.5'),
  (7, 'infinity', '06:00', 'infinity', 'infinity', '1 mon'), (8, '-infinity', '18:30:01', '-infinity', '-infinity', '29 days 23:59:59'),
  (9, '2024-11-03', '01:30', '2024-11-03 01:30', '2024-11-03 05:30+00', '00:00:00.000001'), (10, '1900-01-01', '12:00', '1900-01-01 06:07:08', '1900-01-01 06:07:08+00', '100 years');
create table doc (k text primary key, id int unique, j json, b jsonb, ia int[], ta text[]);
insert into doc values
  ('one', 1, '{"a": 1, "b": [1, 2, 3], "a": 2}', '{"a": 1, "b": [1, 2, {"c": null}], "z": "x"}', '{1,2,3}', '{a,b,c}'), ('two', 2, '[1, "two", null, {"a": 3.50}]', '[1, "two", null, {"a": 3.50}]', '{}', '{}'),
  ('three', 3, '"text"', '"text"', '{null}', '{null,"",NULL}'), ('four', 4, null, null, null, null), ('five', 5, '12.0', '12.0', '{3,1,2,3}', '{"a,b","c\"d",e f}'),
  ('six', 6, 'null', 'null', '{-1}', '{abc}'), ('seven', 7, '{}', '{}', '{7,7,null,7}', '{A,a,B,b}'), ('eight', 8, ' [ ] ', '[]', '{2147483647}', '{12,7}'), ('nine', 9, 'true', 'true', '{1,2}', '{x,null}'),
  ('ten', 10, '{"a": {"b": {"c": "deep"}}, "n": 1e2}', '{"a": {"b": {"c": "deep"}}, "n": 1e2, "": 0}', '{4,5,6,7}', '{one,two}');
create table emp (id int primary key, i4 int, t text, n numeric, d date);
create table chg (id int primary key, g int default 7, t text unique, n numeric(8,2) not null default 1.5, ts timestamp, constraint positive check (g is null or g > -100));
insert into chg values (1, 1, 'a', 1, '2024-01-01'), (2, 1, 'b', 2.25, null), (3, 2, null, 3, '2024-01-03 12:00'), (4, null, 'd', -4.5, '1999-12-31'), (5, 2, 'e', 0, 'infinity');
create table big (id int primary key, g int, t text, n numeric(10,2), d date);
insert into big select i, case when i % 7 = 0 then null else i % 5 end, 'r' || (i % 13), i * 0.25, date '2024-01-01' + i % 40 from generate_series(1, 60) i;
