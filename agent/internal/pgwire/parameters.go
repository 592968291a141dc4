package pgwire

import (
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// reportedSettings are the settings that PostgreSQL tells its clients without
// being asked, at the start and after each change.
var reportedSettings = [...]string{ //nolint:gochecknoglobals // a constant list
	"application_name", "client_encoding", "DateStyle", "default_transaction_read_only",
	"in_hot_standby", "integer_datetimes", "IntervalStyle", "is_superuser",
	"server_encoding", "server_version", "session_authorization",
	"standard_conforming_strings", "TimeZone",
}

// defaultSettings answer for settings that the session does not know. Without
// standard_conforming_strings and client_encoding drivers refuse to work.
func (c *conn) defaultSetting(name string) string {
	switch name {
	case "client_encoding", "server_encoding":
		return "UTF8"
	case "DateStyle":
		return "ISO, MDY"
	case "IntervalStyle":
		return "postgres"
	case "integer_datetimes", "standard_conforming_strings":
		return "on"
	case "default_transaction_read_only", "in_hot_standby", "is_superuser":
		return "off"
	case "server_version":
		return c.server.cfg.ServerVersion
	case "session_authorization":
		return c.startup.user
	case "TimeZone":
		return "UTC"
	}
	return ""
}

// sendParameters tells the settings at the start of a session.
func (c *conn) sendParameters(session Session) {
	for _, name := range reportedSettings {
		value := session.Setting(name)
		if value == "" {
			value = c.defaultSetting(name)
		}
		c.tellSetting(name, value)
	}
	clear(c.changed)
}

// settingChanged notes that a setting is another. The session calls it from inside a
// statement: the client is told before it is asked for the next one.
func (c *conn) settingChanged(name, value string) {
	if c.changed == nil {
		c.changed, c.told = map[string]string{}, map[string]string{}
	}
	c.changed[name] = value
}

// sendChanges tells the settings that are others than the client knows.
func (c *conn) sendChanges() {
	if len(c.changed) == 0 {
		return
	}
	for _, name := range reportedSettings {
		if value, ok := c.changed[name]; ok && value != c.told[name] {
			c.tellSetting(name, value)
		}
	}
	clear(c.changed)
}

func (c *conn) tellSetting(name, value string) {
	if c.told == nil {
		c.changed, c.told = map[string]string{}, map[string]string{}
	}
	c.told[name] = value
	c.out.send(&pgproto3.ParameterStatus{Name: clean(name), Value: clean(value)})
}

// styleChanged follows the settings that say how values are written.
func (c *conn) styleChanged(s datum.Style) { c.style = s }
