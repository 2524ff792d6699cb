package main

import (
	"fmt"
	"slices"
	"strings"
)

// logMessage is one message at warn or above. The tests hold the table to the calls
// in the code, in both directions.
type logMessage struct {
	message string
	levels  string   // as the program writes them
	keys    []string // sorted; all that any call of it has
	means   string
	do      string
}

const logsHead = `# Messages of the log

<!-- Made by "make docs" from the table in cmd/sidegate; changes by hand are lost. -->

The log goes to the standard error, one line a message: text on a terminal, JSON elsewhere (` + "`log.format`" + `). Every line has ` + "`time`, `level` and `msg`" + `; a message never varies, what varies stands under its keys. A line about a request that came with a ` + "`traceparent`" + ` also has ` + "`trace_id` and `span_id`" + `. No line holds the text of a request or, unless ` + "`log.user_ids`" + ` asks for it, the id of a user: ` + "`token`" + ` names the credential, and a user of a signed token by a hash under ` + "`log.id_key`" + `.

Listed is everything at ` + "`warn`" + ` and above. A warning says that something works worse or will end badly; an error, that something does not work. What comes every second is logged when it begins and when it has ended.

`

// logsReference describes every message.
func logsReference() string {
	var b strings.Builder
	b.WriteString(logsHead)
	for _, m := range logMessages {
		fmt.Fprintf(&b, "## %s\n\n`%s`", m.message, strings.ReplaceAll(m.levels, " ", "`, `"))
		for i, key := range m.keys {
			separator := ", "
			if i == 0 {
				separator = " with "
			}
			fmt.Fprintf(&b, "%s`%s`", separator, key)
		}
		fmt.Fprintf(&b, "\n\n%s\n\n**To do:** %s\n\n", m.means, m.do)
	}
	b.WriteString("## Keys\n\nOf lines at every level.\n\n| key | what it is |\n|---|---|\n")
	for _, k := range logKeys {
		fmt.Fprintf(&b, "| `%s` | %s |\n", k.name, k.means)
	}
	return b.String()
}

// logKey is a key that lines of the log have, at any level.
type logKey struct{ name, means string }

func knownLogKey(name string) bool {
	return slices.ContainsFunc(logKeys, func(k logKey) bool { return k.name == name })
}
