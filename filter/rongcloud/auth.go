package rongcloud

import (
	"bytes"
	"crypto/sha1" // the vendor's rule, see sign
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/time/rate"

	"github.com/sidegate/sidegate/filter"
)

// app is an App that requests are held against.
type app struct {
	App
	keyHash [sha256.Size]byte
	limiter *rate.Limiter // nil = no limit
}

func newApp(a App) *app {
	own := &app{App: a, keyHash: sha256.Sum256([]byte(a.Key))}
	if a.Rate > 0 {
		own.limiter = rate.NewLimiter(rate.Limit(a.Rate), a.Rate)
	}
	return own
}

// take takes a place for a request, or refuses it.
func (a *app) take() bool { return a.limiter == nil || a.limiter.Allow() }

// replayMargin is how long a nonce is kept beyond the time for which its request
// could be repeated: clocks of two sidecars, and of the database, differ.
const replayMargin = time.Minute

// once is what makes a request count once, where the app asks for it. A request
// may come a skew before its time and be repeated until a skew after it.
func (a *app) once(nonce string) filter.Once {
	if !a.RefuseReplay {
		return filter.Once{}
	}
	return filter.Once{Key: name + "\x00" + a.Key + "\x00" + nonce, Keep: 2*a.MaxClockSkew + replayMargin}
}

// maxCredential is the most bytes of a nonce and of a timestamp. The vendor's pages
// say 18 characters for a nonce; its Go SDK sends 19, others a long decimal number.
const maxCredential = 64

// nobody stands for the app of a request whose key no app has, so that its answer
// takes as long as that to a wrong signature.
var nobody = newApp(App{Secret: "the secret of nobody"})

// authenticate returns the app that a request comes from and its nonce. Whatever is
// wrong with the credential, the answer is the same; only who has proved to hold the
// secret hears what is wrong with the rest.
func (s *Surface) authenticate(h *fasthttp.RequestHeader, now time.Time) (*app, string, error) {
	key, nonce, timestamp, signature := credential(h, "App-Key"), credential(h, "Nonce"),
		credential(h, "Timestamp"), credential(h, "Signature")
	who := s.appOf(key)
	wanted := sign(who.Secret, nonce, timestamp)
	right := subtle.ConstantTimeCompare(wanted[:], signature) == 1
	if !right || who == nobody || len(nonce) == 0 || len(timestamp) == 0 {
		return nil, "", refusal{status: 401, code: codeSignature,
			message: "App-Key, Nonce, Timestamp and Signature do not prove who sends this."}
	}
	if len(nonce) > maxCredential {
		return nil, "", tooLong("Nonce", len(nonce), maxCredential)
	}
	if len(timestamp) > maxCredential {
		return nil, "", tooLong("Timestamp", len(timestamp), maxCredential)
	}
	if who.MaxClockSkew > 0 {
		at, ok := parseTimestamp(string(timestamp))
		if !ok || at.Sub(now).Abs() > who.MaxClockSkew {
			return nil, "", refusal{status: 401, code: codeSignature,
				message: "Timestamp is not the present time, in seconds or milliseconds since 1970."}
		}
	}
	return who, string(nonce), nil
}

// credential reads a header in either spelling; nil if it is not there, or there
// twice, or in both with two values: two readers of the request could pick
// different ones. An empty one counts as absent.
func credential(h *fasthttp.RequestHeader, header string) (value []byte) {
	for _, spelling := range [...]string{header, "RC-" + header} {
		switch found := h.PeekAll(spelling); {
		case len(found) > 1:
			return nil
		case len(found) == 0 || len(found[0]) == 0:
		case value != nil && !bytes.Equal(value, found[0]):
			return nil
		default:
			value = found[0]
		}
	}
	return value
}

// appOf finds an app by its key, nobody if none has it. Every key is compared, by
// hash and in constant time, so that the time tells nothing about the keys.
func (s *Surface) appOf(key []byte) *app {
	sum := sha256.Sum256(key)
	found := -1
	for i, a := range s.apps {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], a.keyHash[:]), i, found)
	}
	if found < 0 {
		return nobody
	}
	return s.apps[found]
}

// sign returns the signature of a request as the vendor has it: the SHA-1 of
// secret, nonce and timestamp, without anything between them, in lower-case
// hexadecimal digits.
func sign(secret string, nonce, timestamp []byte) (signature [2 * sha1.Size]byte) {
	text := make([]byte, 0, len(secret)+len(nonce)+len(timestamp))
	text = append(append(append(text, secret...), nonce...), timestamp...)
	sum := sha1.Sum(text)
	hex.Encode(signature[:], sum[:])
	return signature
}

// firstMillis is the least timestamp that is in milliseconds: of 1973, or of the
// year 5138 if it were seconds. The vendor documents milliseconds; its own SDKs
// send seconds.
const firstMillis = 100_000_000_000

// parseTimestamp reads a timestamp. There is one way to write a number: with zeros
// before it, a digit could be moved from the nonce and the signature still be right.
func parseTimestamp(text string) (time.Time, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 10) != text {
		return time.Time{}, false
	}
	if n >= firstMillis {
		return time.UnixMilli(n), true
	}
	return time.Unix(n, 0), true
}
