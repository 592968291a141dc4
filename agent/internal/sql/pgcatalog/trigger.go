package pgcatalog

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// triggerEvents are the events in the order in which PostgreSQL writes them, with their
// bits of tgtype.
var triggerEvents = []struct { //nolint:gochecknoglobals // never changed
	event string
	bit   int
}{{cluster.OnInsert, 4}, {cluster.OnDelete, 8}, {cluster.OnUpdate, 16}, {cluster.OnTruncate, 32}}

// triggered are the tables, and the views that have triggers as such.
func (in *Input) triggered() []*catalog.Table {
	out := slices.Clone(in.Tables)
	for i := range in.Views {
		if v := &in.Views[i]; len(v.Desc.View.Triggers) > 0 && !v.materialized() {
			out = append(out, v.Rows())
		}
	}
	return out
}

// pgTriggers are the rows of pg_trigger.
func (in *Input) pgTriggers() []row {
	var out []row
	for _, t := range in.triggered() {
		for i := range t.Desc.Collection.Triggers {
			tr := &t.Desc.Collection.Triggers[i]
			bits, enabled := 0, "O"
			if tr.Row {
				bits |= 1
			}
			switch tr.Timing {
			case cluster.BeforeRows:
				bits |= 2
			case cluster.InsteadOfRows:
				bits |= 64
			}
			for _, e := range triggerEvents {
				if tr.On(e.event) {
					bits |= e.bit
				}
			}
			if tr.Disabled {
				enabled = "D"
			}
			numbers := make([]int, len(tr.Columns))
			for n, id := range tr.Columns {
				numbers[n] = columnNumber(t, id)
			}
			r := row{"oid": OID(tr.ID), "tgrelid": TableOID(t), "tgfoid": OID(tr.Function), "tgnargs": len(tr.Args), "tgargs": triggerArgs(tr), "tgname": tr.Name, "tgtype": bits, "tgenabled": enabled, "tgattr": numbers,
				"tgqual": nil, "tgoldtable": nil, "tgnewtable": nil, "tgdeferrable": tr.Deferrable, "tginitdeferred": tr.Deferred}
			if tr.Constraint {
				r["tgconstraint"] = OID(tr.ID)
			}
			if tr.OldTable != "" {
				r["tgoldtable"] = tr.OldTable
			}
			if tr.NewTable != "" {
				r["tgnewtable"] = tr.NewTable
			}
			if tr.When != "" {
				r["tgqual"] = tr.When
			}
			out = append(out, r)
		}
	}
	return out
}

// triggerDefinition is what pg_get_triggerdef says.
func (in *Input) triggerDefinition(t *catalog.Table, tr *cluster.TableTrigger) row {
	var events []string
	for _, e := range triggerEvents {
		if !tr.On(e.event) {
			continue
		}
		event := e.event
		if event == cluster.OnUpdate && len(tr.Columns) > 0 {
			names := make([]string, len(tr.Columns))
			for n, id := range tr.Columns {
				if c, ok := t.Desc.Collection.ColumnByID(id); ok {
					names[n] = quoted(c.Name)
				}
			}
			event += " OF " + strings.Join(names, ", ")
		}
		events = append(events, event)
	}
	word := "TRIGGER "
	if tr.Constraint {
		word = "CONSTRAINT TRIGGER "
	}
	head := "CREATE " + word + quoted(tr.Name) + " " + tr.Timing + " " + strings.Join(events, " OR ") + " ON "
	tail := " FOR EACH STATEMENT"
	if tr.Row {
		tail = " FOR EACH ROW"
	}
	tail = triggerClauses(tr) + tail
	full, pretty := tail, tail
	if tr.When != "" {
		full += " WHEN ((" + tr.When + "))"
		pretty += " WHEN (" + tr.When + ")"
	}
	body := " " + in.triggerBody(tr)
	whole := body
	if tr.Function == 0 {
		whole = " AS " + dollarQuoted(strings.TrimSpace(body))
	}
	return row{"oid": OID(tr.ID), "definition": head + quoted(t.Schema().Name) + "." + quoted(t.Name()) + full + whole, "pretty": head + in.relationName(t.Schema(), t.Name()) + pretty + body}
}

// triggerClauses are those between the table and FOR EACH.
func triggerClauses(tr *cluster.TableTrigger) (out string) {
	if tr.Constraint {
		if !tr.Deferrable {
			out += " NOT"
		}
		out += " DEFERRABLE INITIALLY "
		if tr.Deferred {
			out += "DEFERRED"
		} else {
			out += "IMMEDIATE"
		}
	}
	if tr.OldTable != "" || tr.NewTable != "" {
		out += " REFERENCING"
	}
	if tr.OldTable != "" {
		out += " OLD TABLE AS " + quoted(tr.OldTable)
	}
	if tr.NewTable != "" {
		out += " NEW TABLE AS " + quoted(tr.NewTable)
	}
	return out
}

// dollarQuoted is a body that psql, which restores dumps, does not cut at its semicolons.
func dollarQuoted(body string) string {
	mark := "$$"
	for n := 1; strings.Contains(body, mark); n++ {
		mark = "$body" + strconv.Itoa(n) + "$"
	}
	return mark + body + mark
}

// triggerArgs are the arguments of a trigger's function as pg_trigger has them.
func triggerArgs(tr *cluster.TableTrigger) string {
	var out strings.Builder
	for _, a := range tr.Args {
		out.WriteString(hex.EncodeToString([]byte(a)) + "00")
	}
	return "\\x" + out.String()
}

// functionName is that of a function, with its schema if it is not in the path.
func (in *Input) functionName(id cluster.ObjectID) string {
	for i := range in.Functions {
		if f := &in.Functions[i]; f.ID == id {
			return f.Name
		}
	}
	return "-" // it is not there by now
}

// triggerBody is the body as it can be written behind CREATE TRIGGER.
func (in *Input) triggerBody(tr *cluster.TableTrigger) string {
	body := tr.Body
	if tr.Function != 0 {
		args := make([]string, len(tr.Args))
		for i, a := range tr.Args {
			args[i] = "'" + strings.ReplaceAll(a, "'", "''") + "'"
		}
		return "EXECUTE FUNCTION " + in.functionName(tr.Function) + "(" + strings.Join(args, ", ") + ")"
	}
	if len(body) > 5 && strings.EqualFold(body[:5], "begin") && strings.ContainsAny(body[5:6], " \t\r\n-/") {
		return body
	}
	if !strings.HasSuffix(body, ";") {
		body += ";"
	}
	return "BEGIN " + body + " END"
}

// informationTriggers makes information_schema.triggers: a row for each event.
func (in *Input) informationTriggers() []row {
	var out []row
	for _, t := range in.triggered() {
		type kind struct {
			event, timing string
			row           bool
		}
		order := map[kind]int{}
		for i := range t.Desc.Collection.Triggers {
			tr := &t.Desc.Collection.Triggers[i]
			for _, event := range []string{cluster.OnInsert, cluster.OnDelete, cluster.OnUpdate} {
				if !tr.On(event) {
					continue
				}
				k := kind{event, tr.Timing, tr.Row}
				order[k]++
				r := row{"trigger_catalog": in.Database, "trigger_schema": t.Schema().Name, "trigger_name": tr.Name, "event_manipulation": event,
					"event_object_catalog": in.Database, "event_object_schema": t.Schema().Name, "event_object_table": t.Name(), "action_order": order[k],
					"action_condition": nil, "action_statement": in.triggerBody(tr), "action_orientation": "STATEMENT", "action_timing": tr.Timing,
					"action_reference_old_table": nil, "action_reference_new_table": nil, "action_reference_old_row": nil, "action_reference_new_row": nil, "created": nil}
				if tr.Row {
					r["action_orientation"] = "ROW"
				}
				if tr.When != "" {
					r["action_condition"] = "(" + tr.When + ")"
				}
				out = append(out, r)
			}
		}
	}
	return out
}
