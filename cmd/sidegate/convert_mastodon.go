package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// mastodonColumn is the header of the column that counts. Exports of blocks have
// none, those of other lists do.
const mastodonColumn = "Account address"

// convertMastodon reads the export of a user's blocks: a CSV file with an account
// in each line.
func convertMastodon(in *bufio.Reader, out *lineWriter) error {
	if mark, err := in.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = in.Discard(3) // it was just seen
	}
	rows := csv.NewReader(in)
	rows.FieldsPerRecord, rows.ReuseRecord = -1, true
	column := 0
	for n := 0; ; n++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == 0 {
			if i := slices.Index(row, mastodonColumn); i >= 0 {
				column = i
				continue
			}
		}
		if column >= len(row) {
			line, _ := rows.FieldPos(0)
			return fmt.Errorf("line %d has %d columns, and the account is in column %d", line, len(row), column+1)
		}
		if account := strings.TrimSpace(row[column]); account != "" {
			if err := out.target(account); err != nil {
				return err
			}
		}
	}
}
