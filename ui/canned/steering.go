package canned

import (
	"context"
	"maps"
	"slices"
	"sync"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
	"vetting/ui/view"
)

// Steering is ui.Steering: a machine with five network cards, each of which has something
// to say. What is set is kept in memory. Safe for concurrent use.
type Steering struct {
	mu        sync.Mutex // guards all below
	set       map[string]string
	own       []string
	restarted int
	Fixed     bool // the file decides about the network and the certificate
	Hostile   bool // texts that try to be more
}

// inFile is where the file says what it says.
const inFile = "/etc/vetting/vetting.yaml:4"

// Fields is of ui.Steering.
func (s *Steering) Fields() []view.Field {
	s.mu.Lock()
	defer s.mu.Unlock()

	list := []view.Field{
		{Setting: route.Setting{Key: "data_dir", Value: "/var/lib/vetting", Origin: "file", At: "/etc/vetting/vetting.yaml:1"}, Doc: "ledger, logs, artifacts and keys"},
		{Setting: route.Setting{Key: "log.level", Value: "info", Origin: "default"}, Doc: "debug, info, warn or error", Choices: []string{"debug", "info", "warn", "error"}},
		{Setting: route.Setting{Key: "netboot.mode", Value: "dhcp", Origin: "default"}, Doc: "dhcp, proxy or off", Choices: []string{"dhcp", "proxy", "off"}},
		{Setting: route.Setting{Key: "netboot.interface", Origin: "default"}, Doc: "the dedicated test NIC"},
		{Setting: route.Setting{Key: "netboot.subnet", Value: "10.77.0.1/24", Origin: "default"}, Doc: "our own address on the test NIC"},
		{Setting: route.Setting{Key: "netboot.pool.start", Origin: "default"}, Doc: "first address given to hosts"},
		{Setting: route.Setting{Key: "netboot.pool.end", Origin: "default"}, Doc: "last address given to hosts"},
		{Setting: route.Setting{Key: "netboot.pool.lease", Value: "12h", Origin: "default"}, Doc: "lease time"},
		{Setting: route.Setting{Key: "netboot.i_own_this_network", Value: "false", Origin: "default"}, Doc: "serve DHCP even on the NIC that holds the default route", Choices: []string{"true", "false"}},
		{Setting: route.Setting{Key: "run.profile", Value: "quick", Origin: "environment", At: "VETTING_RUN_PROFILE"}, Doc: "the usual profile"},
	}

	for i := range list {
		f := &list[i]
		f.Settable, f.Default = f.Key != "data_dir", f.Value

		if s.Fixed && f.Key == "netboot.interface" {
			f.Value, f.Origin, f.At = "enp5s0f1", "file", inFile
		}

		if value, ok := s.set[f.Key]; ok && s.restarted == 0 {
			f.Origin, f.Pending = "console", value
		} else if ok {
			f.Origin, f.Value = "console", value
		}

		if f.Key == "run.profile" && !s.Fixed {
			f.Origin, f.At = "default", ""
		}
	}

	return list
}

func refused(kind error, text string) error { return core.NewProblem(kind, "settings/refused", text) }

// Change is of ui.Steering.
func (s *Steering) Change(_ context.Context, _ string, values map[string]string) error {
	if values["netboot.subnet"] == "192.168.1.1/24" {
		return refused(core.ErrInvalid, "netboot.subnet: 192.168.1.0/24 overlaps with 192.168.1.20/24 of eno1, whose machines would not be reached any more; take another network.")
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	if s.set == nil {
		s.set = map[string]string{}
	}

	maps.Copy(s.set, values)

	return nil
}

// Cards is of ui.Steering.
func (s *Steering) Cards(context.Context) ([]view.Card, error) {
	driver := "ixgbe"
	if s.Hostile {
		driver = Evil
	}

	return []view.Card{
		{Name: "eno1", MAC: "3c:ec:ef:00:17:01", Driver: "igb", Addrs: []string{"192.168.1.20/24", "2001:db8::20/64"}, Megabits: 1000, Link: true, Default: true},
		{Name: "enp5s0f0", MAC: "3c:ec:ef:00:17:02", Driver: driver},
		{Name: "enp5s0f1", MAC: "3c:ec:ef:00:17:03", Driver: driver, Megabits: 10000, Link: true},
		{Name: "enp6s0", MAC: "3c:ec:ef:00:17:04", Driver: "r8169", Megabits: 2500, Link: true},
		{Name: "enp7s0", MAC: "3c:ec:ef:00:17:05", Driver: "r8169", Megabits: 100, Link: true},
	}, nil
}

// Listen is of ui.Steering.
func (s *Steering) Listen(_ context.Context, card string, own bool) (view.Surroundings, error) {
	heard := view.Surroundings{Card: card}

	switch card {
	case "eno1":
		if !own {
			return heard, refused(core.ErrRefused, "eno1 holds the default route: it is a network of others, and this machine is reached by it. Take another card, or say that all of that network is yours.")
		}

		heard.Servers = "192.168.1.1 (f0:9f:c2:00:00:01)"
	case "enp5s0f0":
		heard.Mute = "enp5s0f0 has no link, so nobody could be heard there. Is the cable in, and is what hangs on its other end switched on?"
	case "enp5s0f1":
	case "enp6s0":
		heard.Servers, heard.Proxies, heard.User = "192.168.7.1 (f0:9f:c2:00:00:02)", "192.168.7.9 (f0:9f:c2:00:00:03)", "f0:9f:c2:00:00:04"
	case "enp7s0":
		heard.Taken = []string{"port 67/udp is taken by dnsmasq (pid 812)"}
	default:
		return heard, core.NewProblem(core.ErrNotFound, "netboot/no-card", "there is no network card named so")
	}

	return heard, nil
}

// SaveNotifier is of ui.Steering.
func (s *Steering) SaveNotifier(_ context.Context, _ string, n *view.Notifying) error {
	if n.Kind == "webhook" && len(n.Secrets["secret"]) < 16 {
		return refused(core.ErrInvalid, "notifiers."+n.Name+": secret: at least 16 characters are wanted")
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	if slices.Contains(s.own, n.Name) {
		if !n.Replace {
			return core.NewProblem(core.ErrConflict, problem.NotifierThere, "There is a notifier "+n.Name+" already.")
		}

		return nil
	}

	s.own = append(s.own, n.Name)

	return nil
}

// DropNotifier is of ui.Steering.
func (s *Steering) DropNotifier(_ context.Context, _, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	if !slices.Contains(s.own, name) {
		return refused(core.ErrConflict, "The notifier stands in the configuration file and can only be removed there.")
	}

	s.own = slices.DeleteFunc(s.own, func(own string) bool { return own == name })

	return nil
}

// OwnNotifiers is of ui.Steering.
func (s *Steering) OwnNotifiers(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return slices.Clone(s.own), nil
}

// Restart is of ui.Steering.
func (s *Steering) Restart(context.Context, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.restarted++

	return nil
}

// Restarts is how often somebody had the appliance started anew.
func (s *Steering) Restarts() int {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.restarted
}

// Certificate is of ui.Steering.
func (s *Steering) Certificate() (view.Certificate, error) {
	c := view.Certificate{
		SelfSigned: true, Subject: "CN=vetting appliance", Issuer: "CN=vetting appliance", Names: []string{"vetting.lan", "192.168.1.20"},
		SHA256: "9b1f7a0c4d52e6f8a3b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9", From: Now().AddDate(-1, 0, 0), Until: Now().AddDate(0, 0, 12),
	}

	if s.Fixed {
		c.Fixed = "console.tls.mode is set by file " + inFile + "; the certificate can only be changed there."
	}

	if s.Hostile {
		c.Subject, c.Names = Evil, []string{Evil}
	}

	return c, nil
}

// RenewCertificate is of ui.Steering.
func (*Steering) RenewCertificate(context.Context, string) error { return nil }

// TakeCertificate is of ui.Steering.
func (*Steering) TakeCertificate(_ context.Context, _ string, chain, _ []byte) error {
	if len(chain) == 0 {
		return refused(core.ErrInvalid, "Chain and key do not fit together, or are not PEM: no PEM was found. The server's own certificate comes first.")
	}

	return nil
}

// Authority is of ui.Steering.
func (*Steering) Authority() []byte {
	return []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
}

// Facts is of ui.Steering.
func (s *Steering) Facts() [][2]string {
	about := Appliance()

	return [][2]string{{"Name", about.Name}, {"Version", about.Version}, {"Boot image", about.ImageID}, {"Kernel", about.KernelVersion}, {"Agent for installed hosts, SHA-256", ""}}
}

// Support is of ui.Steering.
func (*Steering) Support(context.Context, string) ([]byte, error) { return []byte("a bundle"), nil }

// Licences is of ui.Steering.
func (*Steering) Licences() (string, error) { return "== vetting\nlicence: Apache-2.0\n", nil }
