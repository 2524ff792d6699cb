// Package decisionlog writes down what was decided: one line of JSON for each
// decision that was not a plain delivery, and for a sample of those that were.
//
// # Guarantee
//
// A decision never waits for its record. [Log.Record] copies what it is given into
// a queue of bounded length and returns; a full queue, a rate that is used up, a
// full disk or a pipe that nobody reads costs records, each of which is counted by
// its cause, and never time. What the counters do not count as dropped has been
// handed to the operating system, whole and in the order of the queue.
//
// # Off
//
// A nil *Log is one that is off: [Log.Wants] is then one comparison, and nothing is
// made or started. On, a plain delivery that the sample leaves out costs that
// comparison and a few flags.
//
// # Concurrency and shutdown
//
// Constructors start nothing. Wants and Record may be called by any number of
// goroutines; [Log.Run] is the only one that writes. It goes on until its context
// ends, so it is to be stopped after those who decide; it then writes what is left
// in the queue. [Log.Reopen] may be called at any time.
//
// # Whom it names
//
// Ids are personal data. They are copied into the queue as they came, and are named
// in the lines as [border.Names] says: hashed, unless the deployer asks for them.
//
// # Allowed imports
//
// Of this module filter (what is written down) and metrics/border (names, traces);
// golang.org/x/time/rate, the Prometheus client, the standard library.
package decisionlog
