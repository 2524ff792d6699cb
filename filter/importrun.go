package filter

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// importConns is how many transactions store one batch at the same time. Most of
// an import is the database's work, and others write too.
const importConns = 2

// importRun is one import under way.
type importRun struct {
	store TransferStore
	req   ImportRequest

	report    ImportReport
	overLimit int // lists

	ended bool  // there are no more lines
	err   error // that ended reading
}

// batch is lines that are stored together.
type batch struct {
	records []Record // what is to be stored; of a target named twice, what came of it
	parts   []int    // by record: the connection that stores it
	lines   []lineRead
	index   map[recordKey]int

	outcomes []ImportOutcome // by record
	limit    int
	err      error
}

// lineRead is a line of a batch.
type lineRead struct {
	number int
	wrong  *Error        // nil: it has a record
	record int           // its index
	repeat bool          // an earlier line of the batch has made the record
	change ImportOutcome // of a repeat: what it did to that record
}

// recordKey tells when two lines are about one thing.
type recordKey struct {
	kind          cache.Kind
	owner, target string
}

// batches stores lines batch by batch. While one is stored the next is read, so
// that neither client nor database waits for the other. Batches are stored one
// after the other: of two lines about one entry the later wins.
func (run *importRun) batches(ctx context.Context) error {
	var stored *batch
	var storing sync.WaitGroup
	finish := func() error {
		if stored == nil {
			return nil
		}
		storing.Wait()
		b := stored
		stored = nil
		return run.settle(b)
	}
	for !run.ended {
		most := ImportBatch
		if room := run.room(stored); room < most {
			// What is under way may fill the report; then it has to be known.
			if err := finish(); err != nil {
				return err
			}
			most = min(most, run.room(nil))
		}
		if most == 0 {
			run.report.Stopped = run.more()
			return run.err
		}
		next := run.read(most)
		if err := finish(); err != nil {
			return err
		}
		stored = next
		storing.Go(func() { run.storeBatch(ctx, next) })
	}
	if err := finish(); err != nil {
		return err
	}
	return run.err
}

// room is how many lines may turn out to be wrong before the report is full.
func (run *importRun) room(under *batch) int {
	n := MaxImportErrors - len(run.report.Errors)
	if under != nil {
		n -= len(under.lines)
	}
	return n
}

// more reports whether there is another line.
func (run *importRun) more() bool {
	_, _, err := run.req.Lines.Next()
	if err == nil {
		return true
	}
	if _, one := aboutLine(err); one {
		return true
	}
	if !isEnd(err) {
		run.err = err
	}
	return false
}

// read reads and checks up to most lines.
func (run *importRun) read(most int) *batch {
	b := &batch{index: make(map[recordKey]int, min(most, ImportBatch))}
	for len(b.lines) < most {
		record, number, err := run.req.Lines.Next()
		if err == nil {
			// Lines may be made while they are sent, for hours.
			err = checkRecord(&record, time.Now())
		}
		wrong, one := aboutLine(err)
		switch {
		case err == nil:
			b.add(record, number)
		case one:
			b.lines = append(b.lines, lineRead{number: number, wrong: wrong})
		default:
			run.ended = true
			if !isEnd(err) {
				run.err = err
			}
			return b
		}
	}
	return b
}

// add takes a record; if there is one about the same entry already, the two
// become one, as if they had been stored one after the other.
func (b *batch) add(r Record, number int) {
	key := recordKey{r.Kind, r.Owner, r.Target}
	if i, twice := b.index[key]; twice {
		b.lines = append(b.lines, lineRead{number: number, record: i, repeat: true, change: b.records[i].fold(&r)})
		return
	}
	b.index[key] = len(b.records)
	b.lines = append(b.lines, lineRead{number: number, record: len(b.records)})
	b.records = append(b.records, r)
	b.parts = append(b.parts, int(cache.HashOwner(r.Owner, 0)%importConns))
}

// fold changes a record by a later one about the same entry.
func (r *Record) fold(later *Record) ImportOutcome {
	was := *r
	r.Allowlist = later.Allowlist
	if !later.KeepExpiry {
		r.ExpiresAt, r.KeepExpiry = later.ExpiresAt, false
	}
	if !later.KeepNote {
		r.Note, r.KeepNote = later.Note, false
	}
	if r.Allowlist == was.Allowlist && r.ExpiresAt.Equal(was.ExpiresAt) && r.Note == was.Note {
		return ImportUnchanged
	}
	return ImportUpdated
}

// storeBatch stores the records of a batch, each list on one connection.
func (run *importRun) storeBatch(ctx context.Context, b *batch) {
	b.outcomes = make([]ImportOutcome, len(b.records))
	var parts [importConns][]Record
	for i, part := range b.parts {
		parts[part] = append(parts[part], b.records[i])
	}
	var done [importConns]Imported
	var errs [importConns]error
	var storing sync.WaitGroup
	for p, records := range parts {
		if len(records) == 0 {
			continue
		}
		storing.Go(func() {
			done[p], errs[p] = run.store.Import(ctx, Import{
				App: run.req.App, Records: records, Mode: run.req.Mode, Actor: run.req.Actor,
			})
		})
	}
	storing.Wait()
	stored := false
	for p, records := range parts {
		stored = stored || len(records) > 0 && errs[p] == nil
	}
	if b.err = partsError(errs[:], stored); b.err != nil {
		return
	}
	var at [importConns]int
	for i, part := range b.parts {
		b.outcomes[i] = done[part].Outcomes[at[part]]
		b.limit = done[part].Limit
		at[part]++
	}
}

// partsError is what ended a batch whose parts are stored each for itself. Where one
// was stored, or may have been, an error of another part must not be heard as the
// promise that nothing of the batch was.
func partsError(errs []error, stored bool) (worst error) {
	for _, err := range errs {
		if e, ok := errors.AsType[*Error](err); ok && e.Code == CodeOutcomeUnknown {
			return err
		}
		if worst == nil {
			worst = err
		}
	}
	if e, ok := errors.AsType[*Error](worst); ok && e.Code == CodeStoreUnavailable && stored {
		return &Error{Code: CodeOutcomeUnknown, Err: worst, Detail: "the database took some of the lists of these lines and then no more; repeating it is safe"}
	}
	return worst
}

// settle reports what became of a batch. Nothing is reported of one that failed:
// which of its lines are stored is not known in full.
func (run *importRun) settle(b *batch) error {
	if b.err != nil {
		run.report.Stopped = true
		return b.err
	}
	lists := map[ListID]struct{}{}
	for i := range b.lines {
		line := &b.lines[i]
		run.report.Lines++
		run.report.Through = line.number
		if line.wrong != nil {
			run.refuse(line.number, line.wrong)
			continue
		}
		outcome := b.outcomes[line.record]
		if outcome == ImportOverLimit {
			record := &b.records[line.record]
			lists[ListID{Kind: record.Kind, Owner: record.Owner}] = struct{}{}
			run.refuse(line.number, Errorf(CodeLimitExceeded,
				"the list would hold more than %d entries; no line of this owner in this batch was stored", b.limit))
			continue
		}
		if line.repeat {
			outcome = line.change
		}
		run.count(outcome)
	}
	run.overLimit += len(lists)
	return nil
}

func (run *importRun) count(outcome ImportOutcome) {
	switch outcome {
	case ImportCreated:
		run.report.Created++
	case ImportUpdated:
		run.report.Updated++
	default:
		run.report.Unchanged++
	}
}

func (run *importRun) refuse(line int, wrong *Error) {
	run.report.Refused++
	run.report.Errors = append(run.report.Errors, LineError{Line: line, Code: wrong.Code, Detail: wrong.Detail})
}

// whole reads all lines and stores them in one transaction, if none is wrong.
func (run *importRun) whole(ctx context.Context) error {
	b := run.read(MaxWholeImport)
	if run.err != nil {
		run.report.Stopped = true
		return run.err
	}
	if !run.ended && run.more() {
		return Errorf(CodeTooLarge, "an atomic import has at most %d lines; nothing was stored", MaxWholeImport)
	}
	if !slices.ContainsFunc(b.lines, func(l lineRead) bool { return l.wrong != nil }) {
		done, err := run.store.Import(ctx, Import{
			App: run.req.App, Records: b.records, Mode: ImportWhole, Actor: run.req.Actor,
		})
		if err != nil {
			run.report.Stopped = true
			return err
		}
		b.outcomes, b.limit = done.Outcomes, done.Limit
		if !slices.Contains(done.Outcomes, ImportOverLimit) {
			return run.settle(b)
		}
	}
	run.reportRefusals(b)
	return ErrImportRefused
}

// reportRefusals reports the lines for which nothing of the import was stored.
func (run *importRun) reportRefusals(b *batch) {
	if b.outcomes == nil {
		b.outcomes = make([]ImportOutcome, len(b.records))
	}
	_ = run.settle(b) // has no error of its own
	run.report.Created, run.report.Updated, run.report.Unchanged = 0, 0, 0
	if extra := len(run.report.Errors) - MaxImportErrors; extra > 0 {
		run.report.Errors = run.report.Errors[:MaxImportErrors]
		run.report.Through = run.report.Errors[MaxImportErrors-1].Line
		run.report.Stopped = true
	}
}
