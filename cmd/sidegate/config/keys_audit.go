package config

import (
	"fmt"
	"time"
)

// auditKeys are the keys of the audits: of the database with itself, and of memory
// with the database.
func auditKeys() []*Key {
	return []*Key{
		{Path: "audit.samples", kind: numberKind(100), Default: 2,
			Doc: "How many pages of memory a second, chosen at random, are read again and compared with the database; 0 = none, at most 100. A page holds about 64 lists. A page that differs is read again; after three within a thousand samples everything is, in every process if this one serves the api listener, at most once an hour. Each sample is one short read, never made while a check waits for one."},
		{Path: "audit.period", kind: durationKind(0, 30*day), Default: "1h",
			Doc: "How often every list in the database is compared with its header and with the feed, spread over that time, 100ms to 720h; 0 = never. A difference means that somebody wrote past the triggers, as a restore of data alone does; it is found within this time, and until then the list is unknown or old. Done by the processes that serve the api listener, one piece at a time, wherever it is due first; set all of them alike."},
		{Path: "audit.repair", kind: boolKind, Default: true,
			Doc: "Count a list again that differs, so that it is what its entries say and everybody reads it again. No entry is ever removed. false = it is only reported, and stays unknown to whoever reads it."},
	}
}

// minAuditPeriod keeps a slip of the unit from auditing without a pause.
const minAuditPeriod = 100 * time.Millisecond

// checkAudit refuses a period that is neither off nor a time.
func (c *Config) checkAudit() []error {
	if p := c.Audit.Period; p != 0 && p < minAuditPeriod {
		return []error{fmt.Errorf("%s: %s is below %s; write 0s for no audit", c.at("audit", "period"), formatDuration(p), formatDuration(minAuditPeriod))}
	}
	return nil
}
