package view

// Setting is an item of the kind SettingList: one thing that nodedbctl goes by.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
}
