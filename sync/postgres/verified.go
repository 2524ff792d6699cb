package postgres

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Unproven returns the hosts of a connection string that are reached over a network
// and need not prove who they are: whoever stands in the way can answer in their
// place, and so decide who blocks whom. A host has proved itself by a certificate in
// its name (sslmode=verify-full) or by knowing the password, bound to the very
// connection (channel_binding=require, in TLS). It connects to nothing, and returns
// nil for a string that cannot be used.
func Unproven(dsn string) (hosts []string) {
	config, err := parseURL(dsn)
	if err != nil {
		return nil
	}
	conn := &config.ConnConfig.Config
	bound := conn.ChannelBinding == "require"
	// With sslmode=prefer, or with several hosts, there is more than one way to
	// connect. Who can break the first has the driver take the next.
	ways := append([]*pgconn.FallbackConfig{{Host: conn.Host, Port: conn.Port, TLSConfig: conn.TLSConfig}}, conn.Fallbacks...)
	for _, way := range ways {
		if local(way) || way.TLSConfig != nil && (bound || proves(way.TLSConfig)) || slices.Contains(hosts, way.Host) {
			continue
		}
		hosts = append(hosts, way.Host)
	}
	return hosts
}

// proves reports whether a certificate must be of a known authority and name the
// host. With sslmode=verify-ca the driver looks at the authority alone, in a function
// of its own.
func proves(c *tls.Config) bool { return !c.InsecureSkipVerify && c.ServerName != "" }

// local reports whether what is sent to a host stays on this machine.
func local(way *pgconn.FallbackConfig) bool {
	if network, _ := pgconn.NetworkAddress(way.Host, way.Port); network == "unix" || strings.EqualFold(way.Host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(way.Host)
	return err == nil && ip.Unmap().IsLoopback()
}
