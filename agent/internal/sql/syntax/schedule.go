package syntax

import "strings"

// CreateSchedule is CREATE SCHEDULE [IF NOT EXISTS] name CRON 'expression'
// [TIME ZONE 'zone'] [OVERLAP SKIP | ALLOW] [DISABLED] body.
type CreateSchedule struct {
	Name        Name
	IfNotExists bool
	Changes     ScheduleChanges
}

// AlterSchedule is ALTER SCHEDULE [IF EXISTS] name with what changes: CRON, TIME ZONE,
// OVERLAP, ENABLE or DISABLE, a body.
type AlterSchedule struct {
	Name     Name
	IfExists bool
	Changes  ScheduleChanges
}

// ScheduleChanges are what is said of a schedule; nil and "": nothing.
type ScheduleChanges struct {
	Cron         string `json:",omitempty"`
	CronPosition int    `json:",omitempty"`
	TimeZone     string `json:",omitempty"`
	ZonePosition int    `json:",omitempty"`
	// Overlap says what becomes of a run that is due while the one before still runs: SKIP
	// or ALLOW.
	Overlap string `json:",omitempty"`
	Enabled *bool  `json:",omitempty"`
	Body    *Body  `json:",omitempty"`
}

// DropSchedule is DROP SCHEDULE.
type DropSchedule struct {
	Names []Name
	Drop
}

// ShowSchedules is SHOW SCHEDULES, or SHOW SCHEDULE HISTORY [FOR name].
type ShowSchedules struct {
	History bool
	Name    *Name
}

func (*CreateSchedule) node() {}
func (*AlterSchedule) node()  {}
func (*DropSchedule) node()   {}
func (*ShowSchedules) node()  {}

// schedule reads what follows CREATE, ALTER or DROP SCHEDULE.
func (p *cursor) schedule(verb string) (Node, *Error) {
	conditions := map[string][]string{"create": {"if", "not", "exists"}, "alter": {"if", "exists"}, "drop": {"if", "exists"}}
	condition, err := p.condition(conditions[verb]...)
	if err != nil {
		return nil, err
	}
	if verb == "drop" {
		return p.dropSchedule(condition)
	}
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	if verb == "create" {
		out := &CreateSchedule{Name: name, IfNotExists: condition}
		if p.word() != "cron" {
			return nil, near(p.text, p.token)
		}
		if err := p.scheduleChanges(&out.Changes); err != nil {
			return nil, err
		}
		if out.Changes.Body == nil {
			return nil, near(p.text, p.token)
		}
		return out, p.end()
	}
	return p.alterSchedule(name, condition)
}

func (p *cursor) dropSchedule(ifExists bool) (Node, *Error) {
	out := &DropSchedule{Drop: Drop{IfExists: ifExists}}
	for {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		out.Names = append(out.Names, name)
		if p.token.kind != tokenComma {
			break
		}
		p.advance()
	}
	if word := p.word(); word == "cascade" || word == "restrict" {
		out.Cascade = word == "cascade"
		p.advance()
	}
	return out, p.end()
}

func (p *cursor) alterSchedule(name Name, ifExists bool) (Node, *Error) {
	about := Target{Kind: KindSchedule, Name: name}
	switch p.word() {
	case "rename", "owner":
		rename := p.word() == "rename"
		p.advance()
		if err := p.expect("to"); err != nil {
			return nil, err
		}
		at := p.token.start + 1
		to, err := p.identifier()
		if err != nil {
			return nil, err
		}
		if rename {
			return &Rename{Word: string(KindSchedule), Target: about, To: to, IfExists: ifExists}, p.end()
		}
		return &ChangeOwner{Target: about, To: ownerNamed(to, at), IfExists: ifExists}, p.end()
	case "set":
		p.advance()
		if err := p.expect("schema"); err != nil {
			return nil, err
		}
		to, err := p.identifier()
		if err != nil {
			return nil, err
		}
		return &SetSchema{Word: string(KindSchedule), Target: about, To: to, IfExists: ifExists}, p.end()
	}
	out := &AlterSchedule{Name: name, IfExists: ifExists}
	first := p.token
	if err := p.scheduleChanges(&out.Changes); err != nil {
		return nil, err
	}
	if p.token == first {
		return nil, near(p.text, p.token)
	}
	return out, p.end()
}

func ownerNamed(name string, position int) RoleName {
	switch name {
	case "current_user", "current_role":
		return RoleName{Which: RoleCurrent, Position: position}
	case "session_user":
		return RoleName{Which: RoleSession, Position: position}
	default:
		return RoleName{Name: name, Position: position}
	}
}

// scheduleChanges reads clauses, each at most once, up to and with the body.
func (p *cursor) scheduleChanges(out *ScheduleChanges) *Error {
	seen := map[string]bool{}
	for {
		clause := p.word()
		if clause == "enabled" || clause == "enable" || clause == "disabled" || clause == "disable" {
			enabled := clause[0] == 'e'
			clause, out.Enabled = "enabled", &enabled
		}
		if seen[clause] {
			return near(p.text, p.token)
		}
		seen[clause] = true
		var err *Error
		switch clause {
		case "cron":
			p.advance()
			out.CronPosition = p.token.start + 1
			out.Cron, err = p.quoted()
		case "time":
			p.advance()
			if err := p.expect("zone"); err != nil {
				return err
			}
			out.ZonePosition = p.token.start + 1
			out.TimeZone, err = p.quoted()
		case "overlap":
			p.advance()
			word := p.word()
			if word != "skip" && word != "allow" {
				return near(p.text, p.token)
			}
			out.Overlap = strings.ToUpper(word)
			p.advance()
		case "enabled":
			p.advance()
		case "as", "begin":
			out.Body, err = p.body()
			return err
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// showSchedules reads SCHEDULES, or SCHEDULE HISTORY [FOR name].
func (p *cursor) showSchedules() (Node, *Error) {
	out := &ShowSchedules{History: p.word() == "schedule"}
	p.advance()
	if !out.History {
		return out, p.end()
	}
	if err := p.expect("history"); err != nil {
		return nil, err
	}
	if p.word() == "for" {
		p.advance()
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		out.Name = &name
	}
	return out, p.end()
}

// commentOnSchedule reads COMMENT ON SCHEDULE name IS 'text'. ok is false if it is of
// something else.
func commentOnSchedule(text string) (node Node, err *Error, ok bool) { //nolint:revive // ok tells "not mine" from an error
	p := &cursor{text: text, lexer: lexer{text: text}}
	p.advance()
	for _, word := range []string{"comment", "on", "schedule"} {
		if p.word() != word {
			return nil, nil, false
		}
		p.advance()
	}
	out := &Comment{Target: Target{Kind: KindSchedule}}
	if out.Target.Name, err = p.name(); err != nil {
		return nil, err, true
	}
	if err := p.expect("is"); err != nil {
		return nil, err, true
	}
	if p.word() == "null" {
		p.advance()
		return out, p.end(), true
	}
	if out.Text, err = p.quoted(); err != nil {
		return nil, err, true
	}
	return out, p.end(), true
}
