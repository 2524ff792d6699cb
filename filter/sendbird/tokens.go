package sendbird

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
)

// tokens finds the app of a token. Only hashes are kept.
type tokens struct {
	hashes [][sha256.Size]byte
	apps   []*tenant
}

// add makes a token name an app. That one token names two, the configuration has
// refused before; here it would mix their lists.
func (t *tokens) add(token string, app *tenant) error {
	if token == "" {
		return errors.New("an api token is empty")
	}
	sum := sha256.Sum256([]byte(token))
	for i := range t.hashes {
		if t.hashes[i] == sum && t.apps[i] != app {
			return errors.New("an api token is also that of another app; it could not tell them apart")
		}
	}
	t.hashes, t.apps = append(t.hashes, sum), append(t.apps, app)
	return nil
}

// find compares with every token, by hash and in constant time, so that the time
// tells neither how much of a guess was right nor whose token matched. Of two
// headers it is not for us to say which one counts.
func (t *tokens) find(values [][]byte) (app *tenant, ok bool) {
	if len(values) != 1 {
		return nil, false
	}
	sum := sha256.Sum256(values[0])
	found := -1
	for i := range t.hashes {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], t.hashes[i][:]), i, found)
	}
	if found < 0 {
		return nil, false
	}
	return t.apps[found], true
}
