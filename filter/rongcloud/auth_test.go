package rongcloud

import (
	"maps"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidegate/sidegate/filter"
)

// TestSignatureVector is the vendor's own example.
func TestSignatureVector(t *testing.T) {
	got := sign("Y1W2MeFwwwRxa0", []byte("14314"), []byte("1408710653000"))
	if want := "30be0bbca9c9b2e27578701e9fda2358a814c88f"; string(got[:]) != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
}

const addPath, addBody = "/user/blocklist/add.json", "userId=bob&blackUserId=alice"

// TestBothHeaderSets: each spelling, in any case, and mixed; seconds, milliseconds
// and no time at all; nonces as the SDKs make them.
func TestBothHeaderSets(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	for _, nonce := range []string{"14314", "1234567890123456789", "123456.78901234567", "0.4711", "a-b_c", strings.Repeat("9", 64)} {
		for _, timestamp := range []string{
			strconv.FormatInt(now.Unix(), 10), strconv.FormatInt(now.UnixMilli(), 10), "1408710653000", "0", "yesterday", strings.Repeat("1", 64),
		} {
			plain := signedWith(acme(), nonce, timestamp)
			w.good(w.serve(raw("POST", addPath, addBody, plain)), `{"code":200}`)
			prefixed, mixed := map[string]string{}, maps.Clone(plain)
			for name, value := range plain {
				prefixed["rc-"+strings.ToUpper(name)] = value
			}
			w.good(w.serve(raw("POST", addPath, addBody, prefixed)), `{"code":200}`)
			delete(mixed, "Nonce")
			mixed["RC-Nonce"] = nonce
			mixed["RC-Request-Id"], mixed["X-Request-ID"] = "r1", "r1"
			w.good(w.serve(raw("POST", addPath, addBody, mixed)), `{"code":200}`)
			maps.Copy(prefixed, plain)
			w.good(w.serve(raw("POST", addPath, addBody, prefixed)), `{"code":200}`)
			mixed["App-Key"], mixed["RC-App-Key"] = "", plain["App-Key"]
			w.good(w.serve(raw("POST", addPath, addBody, mixed)), `{"code":200}`)
		}
	}
}

// TestWrongCredentials: one answer to all of them, and nothing is stored.
func TestWrongCredentials(t *testing.T) {
	other := App{Name: "other", Key: "otherkey", Secret: "othersecret"}
	w := newWorld(t, acme(), other)
	good := signedWith(acme(), "14314", "1408710653000")
	bodies := map[string]bool{}
	refuse := func(what string, change func(h map[string]string)) {
		h := maps.Clone(good)
		change(h)
		a := w.serve(raw("POST", addPath, addBody, h))
		w.refused(a, 401, 1004)
		bodies[a.body] = true
		if len(bodies) > 1 {
			t.Errorf("%s is told from what came before: %v", what, a)
		}
	}
	set := func(name, value string) func(h map[string]string) {
		return func(h map[string]string) { h[name] = value }
	}
	for name := range good {
		refuse("no "+name, func(h map[string]string) { delete(h, name) })
		refuse("empty "+name, set(name, ""))
		refuse("other "+name, set(name, good[name]+"0"))
	}
	refuse("the key of another app", set("App-Key", "otherkey"))
	refuse("a key that no app has", set("App-Key", "nokey"))
	refuse("upper case", set("Signature", strings.ToUpper(good["Signature"])))
	refuse("half a signature", set("Signature", good["Signature"][:20]))
	refuse("nothing at all", func(h map[string]string) { clear(h) })
	refuse("nobody's secret", func(h map[string]string) {
		maps.Copy(h, signedWith(App{Key: "nokey", Secret: nobody.Secret}, "1", "1"))
	})
	refuse("no key, nobody's secret", func(h map[string]string) {
		maps.Copy(h, signedWith(App{Secret: nobody.Secret}, "1", "1"))
	})
	refuse("an empty nonce, signed", func(h map[string]string) { maps.Copy(h, signedWith(acme(), "", "1")) })
	refuse("an empty time, signed", func(h map[string]string) { maps.Copy(h, signedWith(acme(), "1", "")) })
	for name, value := range signedWith(other, "99999", "1408710653001") {
		refuse("another RC-"+name+" beside", set("RC-"+name, value))
	}
	twice := strings.Replace(raw("POST", addPath, addBody, good), "Host: x", "Host: x\r\nApp-Key: otherkey", 1)
	if a := w.serve(twice); !bodies[a.body] {
		t.Errorf("two keys: %v", a)
	}
	if len(w.edits) > 0 || w.log.Len() > 0 {
		t.Errorf("stored %v, logged %s", w.edits, w.log.String())
	}
	w.good(w.serve(raw("POST", addPath, addBody, good)), `{"code":200}`)
}

// TestLongCredentials: who holds the secret hears that a value is too long.
func TestLongCredentials(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("9", 65)
	w.refused(w.serve(raw("POST", addPath, addBody, signedWith(acme(), long, "1"))), 400, 1005)
	w.refused(w.serve(raw("POST", addPath, addBody, signedWith(acme(), "1", long))), 400, 1005)
	stranger := acme()
	stranger.Secret = "guess"
	w.refused(w.serve(raw("POST", addPath, addBody, signedWith(stranger, long, "1"))), 401, 1004)
	if len(w.edits) > 0 {
		t.Errorf("stored %v", w.edits)
	}
}

// TestClockSkew: with a window the unit is told by the size of the number.
func TestClockSkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strict := acme()
		strict.MaxClockSkew = 5 * time.Minute
		w := newWorld(t, strict)
		time.Sleep(30 * 365 * 24 * time.Hour) // a bubble begins in 2000
		now := time.Now()
		for shift, good := range map[time.Duration]bool{
			0: true, 5 * time.Minute: true, -5 * time.Minute: true,
			5*time.Minute + time.Second: false, -5*time.Minute - time.Second: false, 24 * time.Hour: false, -24 * time.Hour: false,
		} {
			at := now.Add(shift)
			for _, timestamp := range []string{strconv.FormatInt(at.Unix(), 10), strconv.FormatInt(at.UnixMilli(), 10)} {
				a := w.serve(raw("POST", addPath, addBody, signedWith(strict, "1", timestamp)))
				if good {
					w.good(a, `{"code":200}`)
				} else if m := w.refused(a, 401, 1004); !strings.Contains(m, "Timestamp") {
					t.Errorf("%s: %s", timestamp, m)
				}
			}
		}
		seconds := strconv.FormatInt(now.Unix(), 10)
		for _, timestamp := range []string{"0" + seconds, "+" + seconds, seconds + ".5", seconds + " 1", "x", "-1", "0", "99999999999999999999"} {
			w.refused(w.serve(raw("POST", addPath, addBody, signedWith(strict, "1", timestamp))), 401, 1004)
		}
	})
}

// TestReplay: with refuse_replay a nonce counts once, whatever the call; without,
// and in other apps, it may be used again.
func TestReplay(t *testing.T) {
	strict, lax := acme(), App{Name: "lax", Key: "laxkey", Secret: "s"}
	strict.MaxClockSkew, strict.RefuseReplay = 10*time.Minute, true
	twin := App{Name: "twin", Key: "twinkey", Secret: "s", MaxClockSkew: 10 * time.Minute, RefuseReplay: true}
	w := newWorld(t, strict, lax, twin)
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	calls := []struct{ path, body string }{
		{addPath, addBody}, {addPath, "userId=bob&blackUserId=bob"}, {"/user/blacklist/remove.json", addBody},
		{"/user/blacklist/query.json", "userId=bob"}, {"/user/whitesetting/set.json", "userId=bob&whiteSetting=1"},
		{"/user/whitesetting/query.json", "userId=bob"},
	}
	for i, c := range calls {
		h := signedWith(strict, "nonce"+strconv.Itoa(i), now)
		if a := w.serve(raw("POST", c.path, c.body, h)); a.status != 200 {
			t.Errorf("%s %s: %v", c.path, c.body, a)
		}
		for _, again := range calls {
			if m := w.refused(w.serve(raw("POST", again.path, again.body, h)), 401, 1004); !strings.Contains(m, "used before") {
				t.Errorf("%s after %s: %s", again.path, c.path, m)
			}
		}
	}
	if len(w.taken) != len(calls) {
		t.Errorf("%d nonces are kept for %d requests", len(w.taken), len(calls))
	}
	for key, keep := range w.taken {
		if keep != 21*time.Minute || !strings.HasPrefix(key, "acme rongcloud\x00uwd1c0sxdlx2\x00nonce") {
			t.Errorf("%q is kept for %v", key, keep)
		}
	}
	w.good(w.serve(raw("POST", addPath, addBody, signedWith(twin, "nonce0", now))), `{"code":200}`)
	for range 3 {
		w.good(w.serve(raw("POST", addPath, addBody, signedWith(lax, "nonce0", now))), `{"code":200}`)
	}
	if w.edits[len(w.edits)-1].Once != (filter.Once{}) {
		t.Error("a nonce is kept without refuse_replay")
	}
}

// TestRefusedRequestKeepsItsNonce: what was refused may be put right and repeated.
func TestRefusedRequestKeepsItsNonce(t *testing.T) {
	strict := acme()
	strict.MaxClockSkew, strict.RefuseReplay = time.Minute, true
	w := newWorld(t, strict)
	h := headers(strict)
	for _, body := range []string{"", "userId=bob", "userId=bob&blackUserId=", "userId=bob&size=0&blackUserId=%"} {
		w.refused(w.serve(raw("POST", addPath, body, h)), 400, 1002)
	}
	w.good(w.serve(raw("POST", addPath, addBody, h)), `{"code":200}`)
	w.refused(w.serve(raw("POST", addPath, addBody, h)), 401, 1004)
}

// TestRate: a second's worth at once, then as fast as allowed, by app; strangers
// spend nothing of it.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited, free := acme(), App{Name: "free", Key: "freekey", Secret: "s"}
		limited.Rate = 100
		w := newWorld(t, limited, free)
		passed := func(a App, n int) (count int) {
			for range n {
				got := w.serve(raw("POST", "/user/blacklist/query.json", "userId=bob", headers(a)))
				if got.status == 200 {
					count++
				} else if w.refused(got, 429, 1008); string(got.header.Peek("Retry-After")) != "1" {
					t.Errorf("429 comes without Retry-After: %v", got)
				}
			}
			return count
		}
		stranger := limited
		stranger.Secret = "guess"
		for range 500 {
			w.refused(w.serve(raw("POST", addPath, addBody, headers(stranger))), 401, 1004)
		}
		if n := passed(limited, 150); n != 100 {
			t.Errorf("%d of 150 requests have passed, want 100", n)
		}
		if n := passed(free, 500); n != 500 {
			t.Errorf("without a rate %d of 500 have passed", n)
		}
		time.Sleep(500 * time.Millisecond)
		if n := passed(limited, 150); n != 50 {
			t.Errorf("after half a second %d have passed, want 50", n)
		}
	})
}

func FuzzTimestamp(f *testing.F) {
	for _, s := range []string{"1408710653", "1408710653000", "0", "-1", "+1", "01", "1.5", "", "9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, ok := parseTimestamp(text)
		if !ok {
			return
		}
		if s, ms := strconv.FormatInt(at.Unix(), 10), strconv.FormatInt(at.UnixMilli(), 10); text != s && text != ms {
			t.Errorf("%q is read as %v", text, at)
		}
	})
}

// FuzzCredential: no header but the signature of what is sent lets anybody in.
func FuzzCredential(f *testing.F) {
	f.Add("uwd1c0sxdlx2", "14314", "1408710653000", "30be0bbca9c9b2e27578701e9fda2358a814c88f")
	f.Add("", "", "", "")
	f.Fuzz(func(t *testing.T, key, nonce, timestamp, signature string) {
		for _, value := range []string{key, nonce, timestamp, signature} {
			if strings.ContainsFunc(value, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
				return // no header can hold it, or it is trimmed on its way
			}
		}
		w := newWorld(t)
		a := w.serve(raw("POST", "/user/blacklist/query.json", "userId=bob",
			map[string]string{"App-Key": key, "Nonce": nonce, "Timestamp": timestamp, "Signature": signature}))
		right := sign(acme().Secret, []byte(nonce), []byte(timestamp))
		if passed := a.status == 200; passed && (key != acme().Key || nonce == "" || timestamp == "" || signature != string(right[:])) {
			t.Errorf("%v", a)
		}
	})
}
