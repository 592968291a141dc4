package metastate

import "slices"

// neededRoles are the least admin roles for what people ask for; "" is anybody's
// whom SQL lets in. What is not in it, nobody may ask for by name.
var neededRoles = map[string]string{
	"SetMembership":   "operator",
	"SetCordon":       "operator",
	"CreateOperation": "operator",
	"PutPlan":         "operator",
	"RequestCancel":   "operator",
	"PauseOperation":  "operator",
	"ResumeOperation": "operator",
	"LimitOperation":  "operator",
	"EndSession":      "operator",
	"RunNow":          "operator",
	"SwitchSchedule":  "operator",
	"CreatePool":      "operator",
	"AlterPool":       "operator",
	"RenamePool":      "operator",
	"DropPool":        "operator",
	"CreateToken":     "admin",
	"RevokeToken":     "admin",
	"CreateJoinToken": "admin",
	"RevokeJoinToken": "admin",
	"PutUser":         "admin",
	"ChangeUser":      "admin",
	"DropUser":        "admin",
	"SetSetting":      "admin",

	"IssueCertificate":  "admin",
	"RevokeCertificate": "admin",
	"RotateCA":          "admin",
	"MoveCAKey":         "admin",
	"RotateGossip":      "admin",

	"ChangeMember":   "", // looked at when it is carried out
	"ChangeObjects":  "",
	"PrepareObjects": "",
}

// ofOneself reports whether a user changes nothing but the own password, or what the own
// sessions begin with.
func (cmd *Command) ofOneself() bool {
	u := cmd.ChangeUser
	return u != nil && cmd.Via == ViaSQL && u.Name == cmd.By && *u == ChangeUser{Name: u.Name, Verifier: u.Verifier, SessionSetting: u.SessionSetting} && cmd.Batch == nil
}

// onlyRoles reports whether the command is about roles that a user with CREATEROLE may
// change: none that is or becomes an admin, an operator or a viewer.
func (c *change) onlyRoles(cmd *Command) bool {
	plain := func(name string) bool { u := c.view.Users[name]; return u == nil || u.AdminRole == "" }
	switch {
	case cmd.Batch != nil:
		for i := range cmd.Batch {
			if !c.onlyRoles(&cmd.Batch[i]) {
				return false
			}
		}
		return true
	case cmd.ChangeUser != nil:
		u := cmd.ChangeUser
		return plain(u.Name) && (u.AdminRole == nil || *u.AdminRole == "") && (u.BypassRLS == nil || !*u.BypassRLS)
	case cmd.DropUser != nil:
		return plain(cmd.DropUser.Name)
	default:
		return cmd.ChangeMember != nil
	}
}

// authorize checks what people ask for at the command's own place in the log: a
// role or token that was taken away by then counts for nothing, whichever node
// let the request in.
func (c *change) authorize(cmd *Command) *Refusal {
	if cmd.Via != ViaAdmin && cmd.Via != ViaSQL {
		return nil
	}
	u, ok := c.view.Users[cmd.By]
	if !ok {
		return refuse(CodeDenied, "there is no user %q", cmd.By)
	}
	has := slices.Index(knownRoles, u.AdminRole)
	if cmd.TokenID != "" {
		t := c.view.Tokens[cmd.TokenID]
		if t == nil || t.Owner != cmd.By || !t.Valid(c.now) {
			return refuse(CodeDenied, "token %s has ended", cmd.TokenID)
		}
		has = min(has, slices.Index(knownRoles, t.Role))
	}
	if cmd.ofOneself() {
		return nil // everybody may change their own
	}
	for _, action := range cmd.actions() {
		needed, known := neededRoles[action]
		if action == "SetSetting" && cmd.SetSetting != nil && cmd.SetSetting.Name == SettingRebalance {
			needed = "operator" // the rebalancer's policy is an operator's to set
		}
		if !known {
			return refuse(CodeDenied, "%s is not for people to ask for", action)
		}
		if needed == "admin" && u.CreateRole && cmd.TokenID == "" && c.onlyRoles(cmd) {
			continue
		}
		if needed != "" && has < slices.Index(knownRoles, needed) {
			return refuse(CodeDenied, "%s needs the role %s, which %s does not have", action, needed, cmd.By)
		}
	}
	return nil
}
