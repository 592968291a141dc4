package sql

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

func TestSchedules(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table ticks (due text primary key)")
	c.steps([][2]string{
		{"create schedule s cron '* * * * * *' as 'insert into ticks values (1); delete from ticks where due = ''2'''", "CREATE SCHEDULE"},
		{"create schedule s cron '* * * * *' begin delete from ticks; end", `42710 schedule "s" already exists`},
		{"create schedule if not exists s cron '* * * * *' begin delete from ticks; end", "CREATE SCHEDULE"},
		{"create schedule x cron '61 * * * * *' begin delete from ticks; end", "22023 invalid cron expression: end of range (61) above maximum (59): 61"},
		{"create schedule x cron '@every 5s' begin delete from ticks; end", "22023 invalid cron expression: @every counts from a start that no node remembers: write */n in a field"},
		{"create schedule x cron '0 0 31 2 *' begin delete from ticks; end", "22023 invalid cron expression: no day is like that"},
		{"create schedule x cron '* * * * *' time zone 'Mars/Crater' begin delete from ticks; end", `22023 time zone "Mars/Crater" not recognized`},
		{"create schedule x cron '* * * * *' time zone 'UTC+3' begin delete from ticks; end", "22023 a schedule needs a time zone with a name, not UTC+3"},
		{"create schedule x cron '* * * * *' begin delete from none; end", `42P01 relation "none" does not exist`},
		{"create schedule x cron '* * * * *' begin delete from ticks where none = 1; end", `42703 column "none" does not exist`},
		{"create schedule x cron '* * * * *' begin delete from ticks where due = $1; end", "42P02 there is no parameter $1"},
		{"create schedule x cron '* * * * *' begin raise notice 'hm'; end", "0A000 IF, RAISE, RETURN or an assignment in the body of a schedule is not supported"},
		{"alter schedule s disable", "ALTER SCHEDULE"},
		{"alter schedule s time zone 'europe/berlin' overlap allow", "ALTER SCHEDULE"},
		{"alter schedule none enable", `42704 schedule "none" does not exist`},
		{"alter schedule if exists none enable", "ALTER SCHEDULE"},
		{"comment on schedule s is 'each second'", "COMMENT"},
		{"alter schedule s rename to r", "ALTER SCHEDULE"},
		{"create schema app", "CREATE SCHEMA"},
		{"alter schedule r set schema app", "ALTER SCHEDULE"},
		{"show schedule history for app.r", "SHOW"},
		{"drop schema app", "2BP01 cannot drop schema app because other objects depend on it / schedule app.r depends on schema app"},
		{"begin", "BEGIN"},
		{"drop schedule app.r", "DROP SCHEDULE"},
		{"drop schedule app.r", `42704 schedule "app.r" does not exist`},
		{"rollback", "ROLLBACK"},
		{"drop schedule if exists app.r, none", "DROP SCHEDULE"},
		{"drop schema app", "DROP SCHEMA"},
	}...)
}

// due has the meta range record a run, as the coordinator does.
func (f *fixture) due(name string, at time.Time) (*cluster.Object, *cluster.ScheduleRun, error) {
	f.t.Helper()
	o, ok := f.meta.View().Find(cluster.MainPublic, cluster.ScheduleNames, name)
	if !ok {
		f.t.Fatalf("there is no schedule %s", name)
	}
	object := f.meta.View().Objects[o.ID]
	res, err := f.meta.Propose(context.Background(), metastate.Command{Via: metastate.ViaAgent, StartRun: &metastate.StartRun{Schedule: o.ID, Version: object.Version, Due: at, Node: 1}})
	if err == nil {
		err = res.Err()
	}
	return object, &cluster.ScheduleRun{Schedule: o.ID, Number: res.Run, Due: at, Node: 1}, err
}

func (f *fixture) states(o *cluster.Object) string {
	var out []string
	for _, r := range f.meta.View().Runs[o.ID] {
		out = append(out, string(r.State)+" "+r.Code)
	}
	return strings.TrimSpace(strings.Join(out, ", "))
}

// TestScheduleRuns: a run is its owner's transaction, in its own schema, and its end is a
// part of it.
func TestScheduleRuns(t *testing.T) {
	f := newFixture(t, nil)
	alice := f.as("alice")
	alice.run("create schema own")
	alice.run("set search_path to own")
	alice.run("create table ticks (due text primary key, who text, at text)")
	alice.run("create schedule public.s cron '* * * * * *' begin insert into ticks values (current_setting('schedule.due'), current_user, current_schema()); end")
	at := time.Now().Add(time.Minute).UTC().Truncate(time.Second)
	o, run, err := f.due("s", at)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.due("s", at); err == nil {
		t.Error("the same time is started twice")
	}
	if _, skipped, err := f.due("s", at.Add(time.Second)); err != nil || skipped.Number != 0 {
		t.Errorf("it overlaps: %+v %v", skipped, err)
	}
	if end := f.server.RunSchedule(t.Context(), o, run); end != nil {
		t.Fatalf("it has failed: %+v", end)
	}
	want := at.Format(time.RFC3339Nano) + "|alice|own\nSELECT 1"
	alice.want(want, "select * from ticks")
	if got := f.states(o); got != "succeeded , skipped" {
		t.Errorf("history: %s", got)
	}
	// What fails leaves nothing.
	alice.run("alter schedule public.s begin insert into ticks values ('x'); insert into ticks values ('x'); end")
	o, run, err = f.due("s", at.Add(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if end := f.server.RunSchedule(t.Context(), o, run); end == nil || end.Code != "23505" {
		t.Errorf("it went well: %+v", end)
	}
	alice.want(want, "select * from ticks")
}

// commitLost runs what was said to be lost meanwhile, and returns what is wrong then; "":
// nothing.
func commitLost(t *testing.T, bug Planted) string {
	f := newFixture(t, nil)
	f.server.planted = bug
	c := f.open()
	c.run("create table ticks (due text primary key)")
	c.run("create schedule s cron '* * * * * *' begin insert into ticks values ('x'); end")
	o, run, err := f.due("s", time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	lost := metastate.Command{Via: metastate.ViaAgent, EndRun: &metastate.EndRun{Schedule: o.ID, Run: run.Number, State: cluster.RunLost}}
	if res, err := f.meta.Propose(t.Context(), lost); err != nil || res.Err() != nil {
		t.Fatal(err, res.Err())
	}
	if end := f.server.RunSchedule(t.Context(), o, run); end != nil {
		t.Errorf("the end of a lost run: %+v", end)
	}
	if got := f.states(o); got != "lost" {
		return "history: " + got
	}
	if got := c.run("select * from ticks"); got != "SELECT 0" {
		return "a lost run was committed: " + got
	}
	return ""
}

// TestLostRunsCommitNothing: who has lost its run commits nothing of it.
func TestLostRunsCommitNothing(t *testing.T) {
	if wrong := commitLost(t, Planted{}); wrong != "" {
		t.Error(wrong)
	}
}
