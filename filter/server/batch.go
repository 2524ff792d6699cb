package server

import (
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// maxBatch is the most entries that one batch names, over both its parts.
const maxBatch = 1000

// batch adds and removes entries of one list, all or nothing.
func (b *blocks) batch(ctx *fasthttp.RequestCtx, in input) error {
	if len(in.query) > 0 {
		return noParameters()
	}
	list, err := in.listID()
	if err != nil {
		return err
	}
	edit, err := parseBatch(ctx.Request.Body())
	if err != nil {
		return err
	}
	edit.List, edit.Source, edit.Actor = list, source, in.who.Actor()
	op, cancel := in.operation()
	defer cancel()
	done, err := b.lists.Edit(op, edit)
	if err != nil {
		return err
	}
	return writeBatch(&ctx.Response, &edit, &done)
}

// batchJSON counts what a batch did. Every entry that it named is in exactly one
// of the counts.
type batchJSON struct {
	Added     int    `json:"added"`
	Removed   int    `json:"removed"`
	Unchanged int    `json:"unchanged"`
	Updated   int    `json:"updated,omitempty"` // only where entries came with details
	Revision  string `json:"revision"`
}

func writeBatch(resp *fasthttp.Response, edit *filter.Edit, done *filter.Written) error {
	answer := batchJSON{Removed: len(done.Removed), Revision: done.Revision.String()}
	answer.Unchanged = len(edit.Remove) - len(done.Removed)
	for i := range edit.Add {
		switch {
		case done.Created[i]:
			answer.Added++
		case edit.Add[i].Keep:
			answer.Unchanged++
		default:
			answer.Updated++
		}
	}
	if err := writeJSON(resp, fasthttp.StatusOK, answer); err != nil {
		return fmt.Errorf("answer a batch: %w", err)
	}
	resp.Header.Set(headerRevision, answer.Revision)
	return nil
}

// parseBatch reads the body of a batch.
func parseBatch(body []byte) (edit filter.Edit, err error) {
	var hasAdd, hasRemove bool
	o := object{buf: body}
	for o.next() {
		switch string(o.name) {
		case "add":
			if hasAdd {
				o.twice()
			}
			hasAdd = true
			for some := o.array(); some; some = o.more() {
				edit.Add = append(edit.Add, o.addition())
				o.atMost(maxBatch, len(edit.Add)+len(edit.Remove))
			}
		case "remove":
			if hasRemove {
				o.twice()
			}
			hasRemove = true
			for some := o.array(); some; some = o.more() {
				edit.Remove = append(edit.Remove, strings.Clone(o.text()))
				o.atMost(maxBatch, len(edit.Add)+len(edit.Remove))
			}
		default:
			o.unknown("add, remove")
		}
	}
	return edit, o.err
}

// atMost refuses a body that names too much, before the rest of it is read.
func (o *object) atMost(most, n int) {
	if o.err == nil && n > most {
		o.err = border.Problemf(border.CodeTooLarge, "the request names more than %d entries; split it", most)
	}
}

// addition reads an entry to be added: an id, which leaves expiry and note of an
// entry that exists as they are, or an object, which sets both like a PUT.
func (o *object) addition() (add filter.Addition) {
	if o.err == nil && o.peek() != '{' {
		if o.want('"', "an array of ids and of objects with target, expires_at and note") {
			add.Target, add.Keep = strings.Clone(o.text()), true
		}
		return add
	}
	var d details
	hasTarget := false
	in := o.within()
	for in.next() {
		switch {
		case string(in.name) != "target":
			if !d.read(&in, &add) {
				in.unknown("target, expires_at, note")
			}
		case hasTarget:
			in.twice()
		default:
			hasTarget = true
			add.Target = strings.Clone(in.text())
		}
	}
	o.resume(in)
	return add
}
