package config

// auditKeys are the keys of the audit that compares the database with itself.
func auditKeys() []*Key {
	return []*Key{
		{Path: "audit.period", kind: durationKind(0, 30*day), Default: "1h",
			Doc: "How often every list in the database is compared with its header and with the feed, spread over that time; 0 = never. A difference means that somebody wrote past the triggers, as a restore of data alone does; it is found within this time, and until then the list is unknown or old. Done by the processes that serve the api listener, one piece at a time, wherever it is due first; set all of them alike."},
		{Path: "audit.repair", kind: boolKind, Default: true,
			Doc: "Count a list again that differs, so that it is what its entries say and everybody reads it again. No entry is ever removed. false = it is only reported, and stays unknown to whoever reads it."},
	}
}
