package config

import "time"

// The upper ends of ranges are generous: they are there to catch a wrong unit,
// such as a poll every 100 hours, not to know better than the operator.
const day = 24 * time.Hour

// listenerKeys are the keys of the three listeners.
func listenerKeys() []*Key {
	keys := []*Key{
		{Path: "check.listen", kind: listenKind, Default: []any{"127.0.0.1:7070"}, Flag: "check-listen",
			Doc: "Where decisions are asked for: host:port, or unix:///path?mode=0660 (mode 0600 unless given). Empty switches the listener off."},
		{Path: "check.tokens", kind: tokensKind, Default: []any{},
			Doc: "Tokens that may ask. Without any, everybody who reaches the listener may; therefore an address that other machines reach needs one. An entry is the token itself, sha256:<64 hex>, or a mapping with one of token, sha256 and file, and optionally name, apps and scopes (user, app, staff; app unless given)."},
		{Path: "check.at_least_timeout", kind: durationKind(time.Millisecond, 10*time.Second), Default: "250ms",
			Doc: "How long a check that carries at_least may wait for that write to be read."},
		{Path: "api.listen", kind: listenKind, Default: []any{"127.0.0.1:7071"}, Flag: "api-listen",
			Doc: "Where block lists are read and written. Empty switches the listener off: the process is then a pure sidecar, and never sets the limits of its apps in the database."},
		{Path: "api.tokens", kind: tokensKind, Default: []any{},
			Doc: "Tokens that may read and write lists; entries as in check.tokens. Without any, and without api.jwt, every call is answered 401."},
	}
	keys = append(keys, opsKeys()...)
	for _, name := range []string{"check", "api", "ops"} {
		keys = append(keys, tlsKeys(name)...)
	}
	keys = append(keys, jwtKeys("api.jwt")...)
	return append(keys,
		&Key{Path: "api.jwt.app_claim", kind: textKind, Default: "app", Doc: "The claim that names the app, or a list of apps. A signed token without it is for no app."},
		&Key{Path: "api.jwt.scope_claim", kind: textKind, Default: "scope", Doc: "The claim that names the scopes (user, app, staff), as a list or with spaces between them; others are ignored. A signed token without it may do nothing."},
		&Key{Path: "api.jwt.max_age", kind: durationKind(0, 3650*day), Default: 0,
			Doc: "How long ago a signed token may have been issued, by its iat; 0 = any that has not expired."},
		&Key{Path: "api.rate.per_app", kind: countKind, Default: 0, Doc: "Requests a second that one app may make to the api listener; 0 = no limit. More are answered 429. The count is each process's own."},
		&Key{Path: "api.rate.per_owner", kind: countKind, Default: 0, Doc: "Requests a second about the lists of one owner of an app; 0 = no limit."},
	)
}

// opsKeys are those of the ops listener, and what opens the others.
func opsKeys() []*Key {
	return []*Key{
		{Path: "ops.listen", kind: listenKind, Default: []any{"127.0.0.1:7072"}, Flag: "ops-listen",
			Doc: "Where metrics, probes and the reads of staff are served. Metrics and probes name no user and ask for no token."},
		{Path: "ops.tokens", kind: tokensKind, Default: []any{},
			Doc: "Tokens of staff: entries with the scope staff. A bare token never has it."},
		{Path: "insecure", kind: boolKind, Default: false, Flag: "insecure",
			Doc: "Start although a check or api listener can be reached from other machines and asks for no credential, and open the api listener on loopback without one."},
	}
}

// tlsKeys are those of the certificate of a listener, and shutdownKeys those of the
// end of all.
func tlsKeys(listener string) []*Key {
	group := listener + ".tls"
	return []*Key{
		{Path: group + ".cert_file", kind: fileKind,
			Doc: "The certificate of the TCP addresses, in PEM, its intermediates behind it. The files are looked at every five seconds: new ones are taken without a restart, and ones that cannot be used leave the old certificate in place."},
		{Path: group + ".key_file", kind: fileKind, Doc: "Its private key, in PEM."},
		{Path: group + ".client_ca_file", kind: fileKind, Doc: clientCADoc[listener]},
		{Path: group + ".min_version", kind: enumKind("1.2", "1.3"), Default: "1.2", Doc: "The oldest version of TLS that is spoken."},
	}
}

// clientCADoc says what a client's certificate is good for.
var clientCADoc = map[string]string{
	"check": "Authorities in PEM: every client must show a certificate of theirs. It opens the listener as a token with the scope app for every app does; with check.tokens a token is needed besides.",
	"api":   "Authorities in PEM: every client must show a certificate of theirs. It opens the connection and nothing else: tokens, signed tokens and the keys of dialects say who may do what.",
	"ops":   "Authorities in PEM: every client must show a certificate of theirs, metrics and probes included: a kubelet has none, so probe with `sidegate healthcheck`. It opens the connection and nothing else.",
}

func shutdownKeys() []*Key {
	return []*Key{
		{Path: "shutdown_delay", kind: durationKind(0, 10*time.Minute), Default: "0s",
			Doc: "After SIGTERM, how long requests are still taken as before while /readyz says 503: for load balancers that need a while to look away, and for a sidecar that is told to stop together with the server that asks it. A native sidecar of Kubernetes needs none."},
		{Path: "shutdown_timeout", kind: durationKind(100*time.Millisecond, 10*time.Minute), Default: "5s",
			Doc: "How long requests under way may take then. An import that is under way after half of it is ended with a report of the line it has reached; what is left at its end is cut off. Whoever kills the process (terminationGracePeriodSeconds, TimeoutStopSec) must wait longer than both together."},
	}
}

// jwtKeys are the keys that say how a signed token is verified.
func jwtKeys(group string) []*Key {
	return []*Key{
		{Path: group + ".jwks_url", kind: webKind, Doc: "Where the keys are fetched: https, or http on loopback, without redirects. One of jwks_url, jwks_file, public_key and secret."},
		{Path: group + ".jwks_file", kind: fileKind, Doc: "A file with the keys as a JWK set; it is read again every ten minutes."},
		{Path: group + ".public_key", kind: textKind, Doc: "One public key or certificate, in PEM."},
		{Path: group + ".secret", kind: secretKind, Doc: "One shared secret, for the HS algorithms, with at least as many bytes as the hash: 32 for HS256."},
		{Path: group + ".algorithms", kind: textsKind, Default: []any{},
			Doc: "The algorithms that are accepted. Empty = HS256 with a secret, otherwise RS256, ES256 and EdDSA. A secret and a public key never share one: whoever knows the public key could sign."},
		{Path: group + ".issuer", kind: textKind, Default: "", Doc: "What iss must be; empty = not looked at."},
		{Path: group + ".audience", kind: textKind, Default: "", Doc: "What aud must hold; empty = not looked at."},
		{Path: group + ".user_claim", kind: textKind, Default: "sub", Doc: "The claim that names the user."},
	}
}

// storeKeys are the keys of the database, the feed, the memory and the log.
func storeKeys() []*Key {
	return []*Key{
		{Path: "postgres.url", kind: dsnKind, Default: "", Flag: "postgres-url",
			Doc: "The primary that holds the block lists. Empty in dev: a private cluster under --data-dir. A URL or host=… dbname=…; a standby is refused."},
		{Path: "sync.poll_interval", kind: durationKind(time.Millisecond, time.Minute), Default: "100ms",
			Doc: "How often the database is asked what changed. A change is enforced within about this time; each poll is one short statement."},
		{Path: "sync.hints", kind: boolKind, Default: false,
			Doc: "Tell the other processes after each write, at most 100 times a second, and poll at once when told. Polling stays the guarantee: losing every hint costs nothing but the wait for the next poll. Each process keeps one more connection, which a pooler in transaction mode does not carry. Good for some tens of processes: every hint reaches all of them, and each then polls."},
		{Path: "sync.soft_bound", kind: durationKind(time.Millisecond, day), Default: "2s",
			Doc: "From this age on an answer says how old it is (stale_ms). At least poll_interval."},
		{Path: "sync.hard_bound", kind: durationKind(time.Millisecond, 30*day), Default: "5m",
			Doc: "From this age on there is no answer, only unknown. At least soft_bound. It is the longest time for which a block made during an outage can stay unseen."},
		{Path: "sync.retention", kind: durationKind(time.Minute, 30*day), Default: "2h",
			Doc: "How long changes stay in the feed. A sidecar that was cut off for longer reads every list again; one that was not goes on where it was. Changes name users, so that an erasure is complete when they have gone. Trimmed by the processes that serve the api listener; set all of them alike."},
		{Path: "cache.max_bytes", kind: autoSizeKind(1), Default: autoText,
			Doc: "Memory for block lists and all that keeping them costs: about 37 bytes a list and 8.4 an entry, nothing for a user without a list. The process takes up to a quarter more and 64 MiB; auto = what that leaves under nine tenths of the memory limit of the container or unit (a limit of 512MiB gives 317 MiB), or 256 MiB where there is none. If all lists fit, all are loaded at the start and no check waits for the database; if not, the least asked for leave."},
		{Path: "cache.load_rate", kind: intKind(1, 1e6), Default: 10_000,
			Doc: "The most pages of lists a second that are read because a check misses them in memory. A healthy database does not feel the default, and while it is slow or fails fewer are read by themselves. Of many processes that share a small database, each may be given its share."},
		{Path: "cache.load_burst", kind: intKind(1, 1e6), Default: 500,
			Doc: "The most of these reads that begin at once after a rest."},
		{Path: "cache.load_queue", kind: intKind(1, 1e6), Default: 256,
			Doc: "How many of these reads may wait for a connection, within the 150 ms that a check has; half of it for batches and fan-outs together. What comes beyond it is unknown at once."},
		{Path: "cache.warm_file", kind: textKind, Default: "",
			Doc: "A file that memory is written to at the end and now and then, and read from at the start: a process that is started again reads only what has changed since. Empty = off. It is as confidential as the lists; each process needs one of its own."},
		{Path: "cache.warm_interval", kind: durationKind(time.Second, day), Default: "5m",
			Doc: "How often the warm file is written while the process runs. What a crash leaves is at most that old; the older, the more has to be read."},
		{Path: "log.level", kind: enumKind("debug", "info", "warn", "error"), Default: "info", Flag: "log-level",
			Doc: "The least severe message that is written."},
		{Path: "log.format", kind: enumKind("auto", "text", "json"), Default: "auto", Flag: "log-format",
			Doc: "One line a message, as key=value or as JSON; auto = text on a terminal, JSON elsewhere."},
		{Path: "log.user_ids", kind: enumKind("hashed", "plain"), Default: "hashed",
			Doc: "How users are named: ids are personal data. Hashed under log.id_key, a line can be matched with other lines, and shows no id."},
		{Path: "log.id_key", kind: idKeyKind,
			Doc: "The key of hashed ids, in this log and in that of decisions: any text of 16 bytes or more that is kept secret and the same in all processes. Without one each process makes its own at its start, and ids can be matched within its life alone."},
	}
}
