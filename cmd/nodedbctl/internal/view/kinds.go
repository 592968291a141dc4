package view

// Kind is one kind of JSON that nodedbctl writes.
type Kind struct {
	Name string
	Item any  // a value of the item's type
	List bool // items of this type in a list
}

// Kinds are all of them; docs/schema has the schema of each. A kind that is
// written and not here fails a test.
func Kinds() []Kind {
	list := func(name string, item any) Kind { return Kind{Name: name, Item: item, List: true} }
	one := func(name string, item any) Kind { return Kind{Name: name, Item: item} }
	return []Kind{
		list("AuditList", AuditRecord{}), one("Audit", AuditRecord{}), one("AuditProof", AuditProof{}),
		one("Bundle", Bundle{}),
		list("CertificateList", Certificate{}), one("Certificate", Certificate{}), one("Rotation", Rotation{}),
		one("CheckReport", CheckReport{}),
		list("ContextList", Context{}), one("Context", Context{}),
		one("Error", Error{}),
		list("EventList", Event{}), one("Event", Event{}),
		list("HostRuleList", HostRule{}), one("HostRule", HostRule{}), one("HostTest", HostTest{}),
		list("JoinTokenList", JoinToken{}), one("JoinToken", JoinToken{}),
		one("LocalReport", LocalReport{}),
		list("MemberList", Member{}), one("Member", Member{}),
		one("MemberExplanation", MemberExplanation{}),
		list("NodeList", Node{}), one("Node", Node{}),
		list("OperationList", Operation{}), one("Operation", Operation{}), one("OperationProgress", Operation{}),
		list("PoolList", Pool{}), one("Pool", Pool{}),
		list("PoolQueue", PoolWait{}),
		list("PlanList", Plan{}), one("Plan", Plan{}),
		one("RaftReport", RaftReport{}),
		one("RangeExplanation", RangeExplanation{}), one("RangeVerification", RangeVerification{}),
		list("RangeList", Range{}), one("Range", Range{}),
		one("Rebalance", Rebalance{}), one("RebalancePolicy", RebalancePolicy{}), list("SweepList", Sweep{}), one("Sweep", Sweep{}),
		one("Route", Route{}), list("RoutingTable", Route{}), one("RouteLookup", RouteLookup{}),
		list("RoutingDiffList", RoutingDiff{}), one("RoutingDiff", RoutingDiff{}),
		list("RowList", map[string]any{}), one("Row", map[string]any{}),
		list("ScheduleList", Schedule{}), one("Schedule", Schedule{}), list("ScheduleRunList", ScheduleRun{}), one("ScheduleRun", ScheduleRun{}),
		list("SettingList", Setting{}), one("Setting", Setting{}),
		list("SessionList", Session{}), one("Session", Session{}),
		one("Status", Status{}),
		list("SupportList", Support{}), one("Support", Support{}),
		list("TokenList", Token{}), one("Token", Token{}),
		list("TransactionList", Transaction{}), one("Transaction", Transaction{}),
		one("UpgradeStatus", UpgradeStatus{}),
		one("Verdict", Verdict{}),
		one("Version", Version{}),
		one("WhoAmI", WhoAmI{}),
	}
}
