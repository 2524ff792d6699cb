package sendbird

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/sidegate/sidegate/filter"
)

const (
	defaultLimit = 10
	maxLimit     = 100
)

// listing is what a list request asks for.
type listing struct {
	blocking bool // those who block the user, instead of those whom the user blocks
	limit    int
	token    string
	// of are the users that are asked about; nil = all. If none of them is on
	// the list, instead is asked for, unless it is nil.
	of, instead *filter.Selection
}

// parseListing reads the query of a list request. Parameters that it does not know
// are ignored.
func parseListing(query []byte) (listing, error) {
	l := listing{limit: defaultLimit}
	values, err := parameters(query)
	if err != nil {
		return l, err
	}
	for _, read := range [...]func(map[string][]byte) error{l.readWhich, l.readLimit, l.readToken, l.readSelection} {
		if err := read(values); err != nil {
			return l, err
		}
	}
	return l, nil
}

// parameters returns the values that are known, as they were sent. Lists that are
// given in several parts are joined; of two other values of one name it is not for
// us to say which one counts.
func parameters(query []byte) (map[string][]byte, error) {
	values := make(map[string][]byte)
	for _, pair := range bytes.Split(query, []byte("&")) {
		raw, value, _ := bytes.Cut(pair, []byte("="))
		name, ok := unescape(raw, true)
		if !ok {
			return nil, faultf(codeURL, "The query has a malformed percent-escape.")
		}
		before, twice := values[name]
		switch name {
		case "user_ids", "metadatavalues_in":
			if twice {
				value = slices.Concat(before, []byte(","), value)
			}
		case "list", "limit", "token", "metadatakey":
			if twice {
				return nil, faultf(codeInvalid, "%q must be given once.", name)
			}
		default:
			continue
		}
		values[name] = value
	}
	return values, nil
}

// readWhich reads the direction. Who blocks a user is for servers to know; that is who
// holds a token.
func (l *listing) readWhich(values map[string][]byte) error {
	raw, given := values["list"]
	if !given {
		return nil
	}
	which, err := decode("list", raw)
	if err != nil {
		return err
	}
	if which != "blocked_by_me" && which != "blocking_me" {
		return faultf(codeInvalid, `"list" must be blocked_by_me or blocking_me.`)
	}
	l.blocking = which == "blocking_me"
	return nil
}

// readLimit tells what is no number from a number that is too small or too large,
// however large it is.
func (l *listing) readLimit(values map[string][]byte) error {
	raw, given := values["limit"]
	if !given {
		return nil
	}
	written, err := decode("limit", raw)
	if err != nil {
		return err
	}
	l.limit, err = strconv.Atoi(written)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return faultf(codeInvalid, `"limit" must be a whole number.`)
	case err != nil || l.limit < 1 || l.limit > maxLimit:
		return faultf(codeRange, `"limit" must be between 1 and %d.`, maxLimit)
	}
	return nil
}

// readToken takes no token for the first page: the next of a last page is empty, and
// there are clients that send it back.
func (l *listing) readToken(values map[string][]byte) (err error) {
	l.token, err = decode("token", values["token"])
	return err
}

// readSelection reads which users are asked about. An empty value is none: clients
// write it for what they leave out.
func (l *listing) readSelection(values map[string][]byte) error {
	ids, err := decodeList("user_ids", values["user_ids"])
	if err == nil {
		err = ids.checkIDs()
	}
	if err != nil {
		return err
	}
	key, err := decode("metadatakey", values["metadatakey"])
	if err != nil {
		return err
	}
	wanted, err := decodeList("metadatavalues_in", values["metadatavalues_in"])
	if err != nil {
		return err
	}
	switch {
	case key == "" && wanted.items != nil:
		return faultf(codeMissing, `"metadatakey" is required with "metadatavalues_in".`)
	case key == "" && ids.items == nil:
		return nil
	}
	l.of = &filter.Selection{Users: ids.items, Key: key, Values: wanted.items}
	if ids.loose != nil || wanted.loose != nil {
		l.instead = &filter.Selection{Users: ids.either(), Key: key, Values: wanted.either()}
	}
	return nil
}

// list is a value with several items.
type list struct {
	items []string // nil = none were given
	// loose is the other way to read the value, nil if there is none. Items are
	// encoded one by one and joined by commas, so that an encoded comma belongs to
	// an item; the vendor's clients encode the value as a whole, commas and all.
	// A value whose only commas are encoded may be either.
	loose []string
}

// either is the loose reading if there is one: for what stands beside the value that
// has two.
func (l list) either() []string {
	if l.loose != nil {
		return l.loose
	}
	return l.items
}

// checkIDs looks at the items as ids. A way to read the value by which it does not
// name users is not what was meant.
func (l *list) checkIDs() error {
	strict, loose := checkIDs(l.items), checkIDs(l.loose)
	switch {
	case l.loose == nil:
		return strict
	case loose != nil:
		l.loose = nil
		return strict
	case strict != nil:
		l.items, l.loose = l.loose, nil
	}
	return nil
}

func checkIDs(ids []string) error {
	for _, id := range ids {
		if err := checkID("user_ids", id); err != nil {
			return err
		}
	}
	return nil
}

// decodeList splits the value as it was sent and decodes its items after, so that an
// item may hold a comma.
func decodeList(name string, raw []byte) (l list, err error) {
	if len(raw) == 0 {
		return l, nil
	}
	for _, part := range bytes.Split(raw, []byte(",")) {
		item, err := decode(name, part)
		if err != nil {
			return list{}, err
		}
		l.items = append(l.items, item)
	}
	if len(l.items) == 1 && strings.Contains(l.items[0], ",") {
		l.loose = strings.Split(l.items[0], ",")
	}
	if max(len(l.items), len(l.loose)) > maxTargets {
		return list{}, faultf(codeTooMany, "%q names at most %d.", name, maxTargets)
	}
	return l, nil
}

func decode(name string, raw []byte) (string, error) {
	value, ok := unescape(raw, true)
	if !ok {
		return "", faultf(codeURL, "%q has a malformed percent-escape.", name)
	}
	return value, nil
}
