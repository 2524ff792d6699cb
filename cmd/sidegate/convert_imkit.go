package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// imkitAnswer is IMKit's list of blocks, of a user or of a room.
type imkitAnswer struct {
	RC     int    `json:"RC"`
	RM     string `json:"RM"`
	Result *struct {
		Data []imkitRow `json:"data"`
	} `json:"result"`
}

type imkitRow struct {
	Blockee   imkitRef  `json:"blockee"`
	Blocker   imkitRef  `json:"blocker"`
	Room      imkitRef  `json:"room"`
	CreatedAt time.Time `json:"createdAt"`
}

// imkitRef names a user or a room: by its id, or by an object that has one.
type imkitRef struct {
	ID   string
	Type string // of a room
}

// UnmarshalJSON implements [json.Unmarshaler].
func (r *imkitRef) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte(`"`)) {
		return json.Unmarshal(text, &r.ID)
	}
	var whole struct {
		UnderID string `json:"_id"`
		ID      string `json:"id"`
		Type    string `json:"roomType"`
	}
	if err := json.Unmarshal(text, &whole); err != nil {
		return err
	}
	if r.ID = whole.UnderID; r.ID == "" {
		r.ID = whole.ID
	}
	r.Type = whole.Type
	return nil
}

// convertIMKit reads lists of blocks. A block in a group is one of the room: who
// made it does not matter there.
func convertIMKit(in *bufio.Reader, out *lineWriter) error {
	return eachAnswer(in, func(a *imkitAnswer) error {
		if a.RC != 0 {
			return fmt.Errorf("its RC is %d, not 0", a.RC)
		}
		if a.Result == nil || a.Result.Data == nil {
			return errNoList
		}
		for i := range a.Result.Data {
			row := &a.Result.Data[i]
			line := importLine{Owner: row.Blocker.ID, Target: row.Blockee.ID, CreatedAt: row.CreatedAt.UTC()}
			if row.Room.Type == "group" {
				line.Owner, line.Kind = row.Room.ID, "room"
			}
			if err := out.line(line); err != nil {
				return err
			}
		}
		return nil
	})
}
