package main

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/core"
	"vetting/netboot"
	"vetting/ui"
)

func (a *appliance) openConsole(context.Context) error {
	var err error
	if a.console, err = a.consoleCertificate(); err != nil {
		return err
	}

	factor, err := lastingSecret(a.config.DataDir, totpSecret)
	if err != nil {
		return err
	}

	manual, err := manualPages()
	if err != nil {
		return err
	}

	var steering ui.Steering
	if a.steered {
		steering = pilot{a}
	}

	outside, err := a.config.OIDC.provider()
	if err != nil {
		return err
	}

	a.ui, err = ui.New(ui.Config{
		Steering: steering, Outside: outside, Upgraded: replaced,
		Ledger: a.store, Commands: a.engine, Logs: a.logs, Artifacts: a.artifacts, Bell: a.bell, Appliance: a.about,
		Addr: a.config.Console.Listen, TLS: a.console.get(), Certificate: a.console.get, Now: time.Now, Rand: rand.Reader, Log: a.log, Ready: a.ready(), Dial: a.dialHeld, TerminalKey: a.terminalKey, Factor: factor,
		Base: a.config.Console.base(a.testNetwork().card), Admit: a.admit(),
		Installed: a.installed(a.console), Warnings: a.conditions,
		Counts:     a.counts(),
		Netboot:    a.netbootFacts,
		ReportKeys: a.reportKeys, Settings: a.live.settings, Notifier: a.courier, Expiring: a.expiring, Retention: a.live.retention, Backups: vault{a}, Manual: manual,
	})

	return err
}

// replaced reports whether the file of this program is another one by now, or gone: what
// starts next is another version.
func replaced() bool {
	own, err := os.Stat("/proc/self/exe") // follows to the file that is running, even where its name is another's now
	if err != nil {
		return false
	}

	name, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return false
	}

	there, err := os.Stat(strings.TrimSuffix(name, " (deleted)"))

	return err == nil && !os.SameFile(own, there)
}

// factsOf returns what the console tells of the boot services. The files are hashed
// when somebody asks for the first time.
func factsOf(config netboot.Config) func() ui.Netboot {
	pool := config.Pool
	if pool == (netboot.Range{}) {
		pool = netboot.DefaultPool(config.Prefix)
	}

	return sync.OnceValue(func() ui.Netboot {
		facts := ui.Netboot{
			Interface: config.Interface, Mode: config.Mode.String(), Address: config.Prefix.String(), Pool: pool.First.String() + " to " + pool.Last.String(),
		}

		for _, name := range slices.Sorted(maps.Keys(config.Files)) {
			facts.Files = append(facts.Files, ui.BootFile{Name: name, Size: int64(len(config.Files[name])), SHA256: sum(config.Files[name])})
		}

		if config.Mode != netboot.ModeDHCP {
			facts.Pool = ""
		}

		return facts
	})
}

// base is how people reach the console; empty: by the very address that it
// listens on. A console on all addresses is reached by one that is not the test
// NIC's.
func (c ConsoleConfig) base(testNIC string) string {
	if c.URL != "" {
		return c.URL
	}

	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || !isWildcard(host) {
		return ""
	}

	return c.scheme() + net.JoinHostPort(ownAddress(testNIC).String(), port)
}

// here is how programs on this machine reach it.
func (c ConsoleConfig) here() string {
	host, port, err := net.SplitHostPort(c.Listen)
	if err == nil && isWildcard(host) {
		return c.scheme() + net.JoinHostPort("127.0.0.1", port)
	}

	return c.scheme() + c.Listen
}

func (c ConsoleConfig) scheme() string {
	if c.TLS.Mode == "off" {
		return "http://"
	}

	return "https://"
}

// isWildcard reports whether a listener on host hears on every card.
func isWildcard(host string) bool {
	addr, err := netip.ParseAddr(host)

	return host == "" || err == nil && addr.IsUnspecified()
}

// portsLeft looks whether the console leaves the boot services their ports at our address
// on the test NIC. The kernel would refuse them what a console on all addresses holds.
func (c *Config) portsLeft() error {
	own, errOwn := netip.ParsePrefix(c.Netboot.Subnet)
	host, name, errListen := net.SplitHostPort(c.Console.Listen)
	listen, errPort := net.ResolveTCPAddr("tcp", ":"+name)

	if err := errors.Join(errOwn, errListen, errPort); err != nil {
		return err
	}

	port := listen.Port

	if addr, err := netip.ParseAddr(host); !isWildcard(host) && (err != nil || addr.Unmap() != own.Addr()) {
		return nil //nolint:nilerr // the name of an address that is not looked up
	}

	if port != 443 && port != 80 && port != c.Traffic.Port {
		return nil
	}

	return errSettings(core.ErrConflict, "The console listens on %s, and the test NIC needs port %d itself (443 for agents, 80 for boots, traffic.port). "+
		"Set console.listen to another port, or to an address that is not the test NIC's, or take another traffic.port.", c.Console.Listen, port)
}

// ownAddress is one of this machine's addresses by which others may reach it, but
// not on the card named except; loopback where there is none.
func ownAddress(except string) netip.Addr {
	own := netip.AddrFrom4([4]byte{127, 0, 0, 1})

	cards, err := net.Interfaces()
	if err != nil {
		return own
	}

	for i := range cards {
		if cards[i].Name == except || cards[i].Flags&net.FlagUp == 0 || cards[i].Flags&net.FlagLoopback != 0 {
			continue
		}

		for _, addr := range addressesOf(&cards[i]) {
			if addr.Is4() && addr.IsGlobalUnicast() {
				return addr
			}
		}
	}

	return own
}

func addressesOf(card *net.Interface) (all []netip.Addr) {
	networks, err := card.Addrs()
	if err != nil {
		return nil // it has gone meanwhile
	}

	for _, network := range networks {
		if prefix, err := netip.ParsePrefix(network.String()); err == nil {
			all = append(all, prefix.Addr().Unmap())
		}
	}

	return all
}

// testNetwork is a network of machines under test: its card, and our address there.
type testNetwork struct {
	card string
	own  netip.Prefix
}

// testNetwork is the network that is served, or was to be.
func (a *appliance) testNetwork() testNetwork {
	if a.dropped.card != "" {
		return a.dropped
	}

	return testNetwork{a.config.Netboot.Interface, a.self}
}

// admit keeps hosts under test away from the console, whichever address it
// listens on: Linux answers for all its addresses on every card. Nil: they are
// let in, because the configuration names the test NIC's own address, or no test NIC.
func (a *appliance) admit() func(net.Conn) bool {
	keptOut := a.testNetwork()
	if a.alone && keptOut.card == "" {
		return nil // there is no test network
	}

	host, _, err := net.SplitHostPort(a.config.Console.Listen)
	if listen, bad := netip.ParseAddr(host); err != nil || bad == nil && listen == keptOut.own.Addr() {
		return nil
	}

	return func(conn net.Conn) bool {
		return !keptOut.has(conn.LocalAddr()) && !keptOut.has(conn.RemoteAddr())
	}
}

// onTestNIC reports whether an address is one of the test network or of the test
// NIC.
func (a *appliance) onTestNIC(where net.Addr) bool {
	return testNetwork{a.config.Netboot.Interface, a.self}.has(where)
}

// has reports whether an address is one of the network or of its card.
func (n testNetwork) has(where net.Addr) bool {
	tcp, ok := where.(*net.TCPAddr)
	if !ok {
		return false
	}

	addr := tcp.AddrPort().Addr().Unmap()
	if n.own.Contains(addr) || n.card != "" && addr.Zone() == n.card {
		return true
	}

	if addr.Is4() || n.card == "" {
		return false
	}

	card, err := net.InterfaceByName(n.card)

	return err == nil && slices.Contains(addressesOf(card), addr.WithZone(""))
}
