package sendbird

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxTargets is the most users of one request.
const maxTargets = 100

// targets are whom a request asks to block, each once, in the order of the request.
type targets struct {
	ids  []string
	list bool // the answer is a list
}

// parseBlock reads the body of a block request. Members that it does not know, such
// as the user_id that old clients repeat there, are ignored; so is null, which some
// clients write for what they leave out.
func parseBlock(body []byte) (targets, error) {
	members, err := object(body)
	if err != nil {
		return targets{}, err
	}
	var t targets
	given := 0
	if raw, ok := members["target_id"]; ok {
		if err := t.add("target_id", raw); err != nil {
			return targets{}, err
		}
		given++
	}
	for _, name := range [...]string{"user_ids", "users"} {
		raw, ok := members[name]
		if !ok {
			continue
		}
		t.list = true
		n, err := t.addAll(name, raw)
		if err != nil {
			return targets{}, err
		}
		given += n
	}
	switch {
	case given == 0:
		return targets{}, faultf(codeMissing, `"target_id" is required, or "user_ids" or "users" with at least one user.`)
	case given > maxTargets:
		return targets{}, faultf(codeTooMany, "A request blocks at most %d users.", maxTargets)
	}
	t.distinct()
	return t, nil
}

// addAll adds the elements of a list and returns how many there are.
func (t *targets) addAll(name string, raw json.RawMessage) (n int, err error) {
	var elements []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &elements) != nil {
		return 0, faultf(codeNotList, "%q must be a list.", name)
	}
	for _, element := range elements {
		if name == "users" && element[0] != '"' {
			err = t.addObject(element)
		} else {
			err = t.add(name, element)
		}
		if err != nil {
			return 0, err
		}
	}
	return len(elements), nil
}

// addObject adds an element of users. An id alone, which add takes, is in no
// document, but the vendor lets users stand for user_ids and its clients put the
// same into both.
func (t *targets) addObject(raw json.RawMessage) error {
	if raw[0] != '{' {
		return faultf(codeNotJSON, `"users" must be a list of objects.`)
	}
	members, err := object(raw)
	if err != nil {
		return err
	}
	id, ok := members["user_id"]
	if !ok {
		return faultf(codeMissing, `"user_id" is required in "users".`)
	}
	return t.add("user_id", id)
}

// add adds an id, which is checked before the lists see it: their refusal would not
// say whether it is too long or not valid, and the vendor has a code for each.
func (t *targets) add(name string, raw json.RawMessage) error {
	id, ok, err := text(raw)
	if err != nil {
		return err
	}
	if !ok {
		return faultf(codeNotString, "%q must be a string.", name)
	}
	if err := checkID(name, id); err != nil {
		return err
	}
	t.ids = append(t.ids, id)
	return nil
}

// distinct keeps the first of equal ids: whoever is named twice is blocked once.
func (t *targets) distinct() {
	seen := make(map[string]bool, len(t.ids))
	kept := t.ids[:0]
	for _, id := range t.ids {
		if !seen[id] {
			seen[id] = true
			kept = append(kept, id)
		}
	}
	t.ids = kept
}

var errBody = faultf(codeBody, "The body must be one JSON object in UTF-8.")

// object reads the members of an object that are not null. The library by itself
// takes "User_IDs" for "user_ids" and puts U+FFFD, which is another user's id, where
// text cannot be decoded. No body at all is an object without members.
func object(raw []byte) (map[string]json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if !utf8.Valid(raw) {
		return nil, errBody
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return nil, errBody
	}
	members := make(map[string]json.RawMessage)
	for dec.More() {
		if err := member(dec, members); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, errBody
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errBody // what follows was meant for somebody
	}
	return members, nil
}

// member reads the next member of an object. Which of two of the same name is meant
// is not for us to guess.
func member(dec *json.Decoder, members map[string]json.RawMessage) error {
	var value json.RawMessage
	name, err := dec.Token()
	if err != nil || dec.Decode(&value) != nil {
		return errBody
	}
	key, ok := name.(string)
	if _, twice := members[key]; !ok || twice {
		return errBody
	}
	if string(value) != "null" {
		members[key] = value
	}
	return nil
}

// text decodes a string, refusing what the library would replace; ok is false if the value is something else.
func text(raw json.RawMessage) (s string, ok bool, err error) {
	if raw[0] != '"' {
		return "", false, nil
	}
	if json.Unmarshal(raw, &s) != nil || !pairedSurrogates(raw) {
		return "", false, errBody
	}
	return s, true, nil
}

// pairedSurrogates reports whether no escape of a valid JSON string is half of a
// pair, which is no character.
func pairedSurrogates(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if raw[i] != 'u' {
			continue
		}
		r := escaped(raw[i+1:])
		i += 4
		if !utf16.IsSurrogate(r) {
			continue
		}
		rest := raw[i+1:]
		if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' || utf16.DecodeRune(r, escaped(rest[2:])) == utf8.RuneError {
			return false
		}
		i += 6
	}
	return true
}

// escaped returns the value of the four digits of an escape.
func escaped(digits []byte) rune {
	n, _ := strconv.ParseUint(string(digits[:4]), 16, 16) // four digits, or the library would have refused it
	return rune(n)
}
