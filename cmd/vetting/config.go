package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"vetting/agent/wire"
	"vetting/core"
	"vetting/core/profile"
	"vetting/core/retention"
	"vetting/netboot"
	"vetting/store/janitor"
)

// Config is the whole configuration file. Precedence: flag, environment, file, what was set
// in the console, default. Unknown keys are errors.
type Config struct {
	Version    int              `yaml:"version"`
	DataDir    string           `yaml:"data_dir"`
	Log        LogConfig        `yaml:"log"`
	Console    ConsoleConfig    `yaml:"console"`
	OIDC       OIDCConfig       `yaml:"oidc"`
	Netboot    NetbootConfig    `yaml:"netboot"`
	Traffic    TrafficConfig    `yaml:"traffic"`
	HostAPI    HostAPIConfig    `yaml:"host_api"`
	Dispatcher DispatcherConfig `yaml:"dispatcher"`
	Run        RunConfig        `yaml:"run"`
	Hosts      HostsConfig      `yaml:"hosts"`
	Retention  RetentionConfig  `yaml:"retention"`
	Janitor    JanitorConfig    `yaml:"janitor"`
	Backup     BackupConfig     `yaml:"backup"`

	Notifiers map[string]NotifierConfig `yaml:"notifiers,omitempty"`
	Routes    []RouteConfig             `yaml:"routes,omitempty"`
	Profiles  map[string]ProfileConfig  `yaml:"profiles,omitempty"`
}

// LogConfig says how the appliance logs.
type LogConfig struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// ConsoleConfig is the listener for people. Hosts under test never reach it,
// unless Listen names the test NIC's own address.
type ConsoleConfig struct {
	Listen string    `yaml:"listen"`
	URL    string    `yaml:"url"`
	TLS    TLSConfig `yaml:"tls"`
}

// TLSConfig says where the console's certificate comes from.
type TLSConfig struct {
	Mode string `yaml:"mode"`
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// NetbootConfig is the dedicated NIC.
type NetbootConfig struct {
	Interface  string     `yaml:"interface"`
	Subnet     string     `yaml:"subnet"`
	Pool       PoolConfig `yaml:"pool"`
	OwnNetwork bool       `yaml:"i_own_this_network"`
	KernelArgs []string   `yaml:"kernel_args"`

	Mode         string            `yaml:"mode"`
	Solicitation string            `yaml:"router_solicitations"`
	Reservations map[string]string `yaml:"reservations"`
	Relayed      []RelayedConfig   `yaml:"relayed"`
	DNS          string            `yaml:"dns"`
	NTP          string            `yaml:"ntp"`
}

// PoolConfig bounds the addresses given to hosts.
type PoolConfig struct {
	Start string   `yaml:"start"`
	End   string   `yaml:"end"`
	Lease Duration `yaml:"lease"`
}

// TrafficConfig is the throughput partner of network tests.
type TrafficConfig struct {
	Port   int  `yaml:"port"`
	IPerf3 bool `yaml:"iperf3"`
}

// HostAPIConfig is about installed machines, which make themselves known.
type HostAPIConfig struct {
	TrustLAN bool     `yaml:"trust_lan"`
	EnrolKey Secret   `yaml:"enrol_key"`
	Silence  Duration `yaml:"silence"`
}

// HostsConfig is about the list of hosts.
type HostsConfig struct {
	Trash Duration `yaml:"trash"`
}

// RetentionConfig says how long what is large is kept; 0d is for ever.
type RetentionConfig struct {
	Artifacts Duration `yaml:"artifacts"`
	Logs      Duration `yaml:"logs"`
	Failed    Duration `yaml:"failed"`

	Downsample Duration `yaml:"downsample"`
	Samples    Duration `yaml:"samples"`
}

// JanitorConfig says how often is looked for what may go.
type JanitorConfig struct {
	Interval Duration `yaml:"interval"`
}

// DispatcherConfig bounds the runs.
type DispatcherConfig struct {
	MaxConcurrentRuns int `yaml:"max_concurrent_runs"`
}

// RunConfig holds the deadlines of a run.
type RunConfig struct {
	BootDeadline Duration        `yaml:"boot_deadline"`
	Heartbeat    HeartbeatConfig `yaml:"heartbeat"`
	Patience     Duration        `yaml:"patience"`
	Hold         Duration        `yaml:"hold"`
	Profile      string          `yaml:"profile"`
}

// HeartbeatConfig says how often an agent must show signs of life.
type HeartbeatConfig struct {
	Interval Duration `yaml:"interval"`
	Stale    Duration `yaml:"stale"`
	Lost     Duration `yaml:"lost"`
}

// ProfileConfig is an operator's own profile, or a change to a shipped one.
type ProfileConfig struct {
	Description string            `yaml:"description"`
	Extends     string            `yaml:"extends"`
	Stages      []string          `yaml:"stages"`
	Scale       float64           `yaml:"scale"`
	Config      map[string]string `yaml:"config"`
	Thresholds  []ThresholdConfig `yaml:"thresholds"`
}

// ThresholdConfig is a rule of a profile.
type ThresholdConfig struct {
	ID       string   `yaml:"id"`
	Stage    string   `yaml:"stage"`
	Key      string   `yaml:"key"`
	Op       string   `yaml:"op"`
	Value    float64  `yaml:"value"`
	Of       string   `yaml:"of"`
	Fallback float64  `yaml:"fallback"`
	Severity string   `yaml:"severity"`
	For      Duration `yaml:"for"`
	Count    int      `yaml:"count"`
	Required bool     `yaml:"required"`
}

// Defaults returns the one literal from which the example file, the reference
// and every unset key come.
func Defaults() Config {
	kept := retention.Default()

	return Config{
		Version: 1,
		DataDir: "/var/lib/vetting",
		Log:     LogConfig{Level: "info", Format: "text"},
		Console: ConsoleConfig{Listen: "127.0.0.1:8443", TLS: TLSConfig{Mode: "self-signed"}},
		OIDC:    OIDCConfig{GroupsClaim: "groups"},
		Netboot: NetbootConfig{
			Mode: "dhcp", Solicitation: "auto",
			Subnet: "10.77.0.1/24",
			Pool:   PoolConfig{Lease: Duration(12 * time.Hour)},
		},
		Dispatcher: DispatcherConfig{MaxConcurrentRuns: 3},
		Run: RunConfig{
			BootDeadline: Duration(15 * time.Minute),
			Heartbeat: HeartbeatConfig{
				Interval: Duration(15 * time.Second),
				Stale:    Duration(time.Minute),
				Lost:     Duration(5 * time.Minute),
			},
			Patience: Duration(4 * time.Minute),
			Hold:     Duration(24 * time.Hour),
			Profile:  "quick",
		},
		Traffic:   TrafficConfig{Port: 5201},
		HostAPI:   HostAPIConfig{Silence: Duration(90 * time.Second)},
		Hosts:     HostsConfig{Trash: Duration(core.TrashLife)},
		Retention: RetentionConfig{Artifacts: Duration(kept.Artifacts), Logs: Duration(kept.Logs), Failed: Duration(kept.Failed), Samples: Duration(kept.Samples)},
		Janitor:   JanitorConfig{Interval: Duration(time.Hour)},
		Backup:    BackupConfig{Interval: Duration(24 * time.Hour), Keep: 7},
	}
}

// Validate names every fault with the path of its key, joined.
func (c *Config) Validate() error {
	sweeps := c.sweeps()

	return errors.Join(c.validateTop(), c.Console.validate(), c.OIDC.validate(), c.Netboot.validate(), c.Traffic.validate(), c.HostAPI.validate(), c.Run.validate(),
		c.Hosts.validate(), sweeps.Validate(), c.Backup.validate(), c.validateRoutes(), c.validateProfiles())
}

func (c *Config) validateTop() error {
	var faults []error

	if c.Version != 1 {
		faults = append(faults, fmt.Errorf("version: this binary reads version 1, the file says %d", c.Version))
	}

	if c.DataDir == "" {
		faults = append(faults, errors.New("data_dir: name a directory, for example /var/lib/vetting"))
	}

	if _, err := c.logLevel(); err != nil {
		faults = append(faults, err)
	}

	if c.Log.Format != "text" && c.Log.Format != "json" {
		faults = append(faults, fmt.Errorf("log.format: %q is neither text nor json", c.Log.Format))
	}

	if n := c.Dispatcher.MaxConcurrentRuns; n < 1 || n > 1000 {
		faults = append(faults, fmt.Errorf("dispatcher.max_concurrent_runs: %d is not between 1 and 1000", n))
	}

	return errors.Join(faults...)
}

func (c *Config) logLevel() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return level, fmt.Errorf("log.level: %q is none of debug, info, warn, error", c.Log.Level)
	}

	return level, nil
}

func (c ConsoleConfig) validate() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("console.listen: %q is not ADDRESS:PORT, for example 127.0.0.1:8443", c.Listen)
	}

	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || u.Scheme+"://" != c.scheme() && u.Scheme != "https" || u.Host == "" || c.URL != u.Scheme+"://"+u.Host) {
		return fmt.Errorf("console.url: %q is not like https://vetting.lan:8443, without a path", c.URL)
	}

	switch c.TLS.Mode {
	case "self-signed":
		return nil
	case "files":
		if c.TLS.Cert == "" || c.TLS.Key == "" {
			return errors.New("console.tls: mode files needs cert and key (PEM files)")
		}

		return nil
	case "off":
		if addr, err := netip.ParseAddr(host); err != nil || !addr.IsLoopback() {
			return fmt.Errorf("console.tls.mode: off is allowed only on loopback, and console.listen is %q", c.Listen)
		}

		return nil
	default:
		return fmt.Errorf("console.tls.mode: %q is none of self-signed, files, off", c.TLS.Mode)
	}
}

func (n NetbootConfig) validate() error {
	prefix, err := netip.ParsePrefix(n.Subnet)
	if err != nil || !prefix.Addr().Is4() {
		return fmt.Errorf("netboot.subnet: %q is not our own address with its length, for example 10.77.0.1/24", n.Subnet)
	}

	_, err = n.network(prefix)

	if time.Duration(n.Pool.Lease) < time.Hour {
		err = errors.Join(err, fmt.Errorf("netboot.pool.lease: %s is under an hour; a renewal would hit a running test", n.Pool.Lease))
	}

	return err
}

// span reads the addresses given to hosts; zero where they follow from the network.
func (p PoolConfig) span(prefix netip.Prefix) (netboot.Range, error) {
	if p.Start == "" && p.End == "" {
		return netboot.Range{}, nil
	}

	start, errStart := netip.ParseAddr(p.Start)
	end, errEnd := netip.ParseAddr(p.End)

	switch {
	case errStart != nil || errEnd != nil:
		return netboot.Range{}, errors.New("netboot.pool: start and end must be IPv4 addresses, or both empty")
	case !prefix.Contains(start) || !prefix.Contains(end) || end.Less(start):
		return netboot.Range{}, fmt.Errorf("netboot.pool: %s to %s is not a range inside %s", start, end, prefix.Masked())
	default:
		return netboot.Range{First: start, Last: end}, nil
	}
}

// checkSecrets looks whether every secret lies where the file says, which only the
// appliance's user may be able to see.
func (c *Config) checkSecrets() error {
	_, fault := c.HostAPI.enrolKey()
	notifications, err := c.notifications("")

	if err == nil {
		err = notifications.Validate()
	}

	_, missing := c.OIDC.ClientSecret.Read()
	if missing != nil {
		missing = fmt.Errorf("oidc.client_secret: %w", missing)
	}

	return errors.Join(fault, err, missing)
}

// enrolKey reads the key that hosts must know; empty: none. The installer writes
// it into a file as JSON, hence the letters.
func (h HostAPIConfig) enrolKey() (string, error) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/=-"

	key, err := h.EnrolKey.Read()

	switch {
	case err != nil:
		return "", fmt.Errorf("host_api.enrol_key: %w", err)
	case h.EnrolKey.Set() && (len(key) < 12 || len(key) > wire.MaxToken || strings.Trim(key, letters) != ""):
		return "", fmt.Errorf("host_api.enrol_key: 12 to %d letters, digits or any of . _ ~ + / = - are wanted", wire.MaxToken)
	default:
		return key, nil
	}
}

func (r RunConfig) validate() error {
	beat := r.Heartbeat
	if beat.Interval <= 0 || beat.Stale <= beat.Interval || beat.Lost <= beat.Stale {
		return errors.New("run.heartbeat: interval, stale and lost must grow, for example 15s, 60s, 5m")
	}

	switch {
	case r.BootDeadline < Duration(time.Minute):
		return fmt.Errorf("run.boot_deadline: %s is under a minute; firmware alone takes longer", r.BootDeadline)
	case r.Patience < Duration(30*time.Second):
		return fmt.Errorf("run.patience: %s is under 30s; a machine that was switched on is not heard sooner", r.Patience)
	case r.Hold < Duration(time.Minute):
		return fmt.Errorf("run.hold: %s is under a minute; nobody can look at a machine in that time", r.Hold)
	default:
		return nil
	}
}

func (t TrafficConfig) validate() error {
	if t.Port < 1 || t.Port > 65535 || t.Port == 80 || t.Port == 443 {
		return fmt.Errorf("traffic.port: %d is no free port of the test NIC; take one between 1 and 65535 that is neither 80 nor 443", t.Port)
	}

	return nil
}

func (h HostAPIConfig) validate() error {
	if h.Silence < Duration(45*time.Second) {
		return fmt.Errorf("host_api.silence: %s is under 45s; an installed host is heard every 30s", h.Silence)
	}

	return nil
}

func (c *Config) validateProfiles() error {
	all, err := profiles(profile.Defaults(), c.Profiles)
	if err == nil {
		err = profile.CheckAll(all)
	}

	if err == nil && !slices.ContainsFunc(all, func(p core.Profile) bool { return p.Name == c.Run.Profile }) {
		err = fmt.Errorf("run.profile: there is no profile %.40q", c.Run.Profile)
	}

	return err
}

func (h HostsConfig) validate() error {
	if h.Trash < Duration(time.Hour) {
		return fmt.Errorf("hosts.trash: %s is under an hour, in which people notice what they have deleted", h.Trash)
	}

	return nil
}

// sweeps says what may be forgotten, and how often is looked.
func (c *Config) sweeps() janitor.Config {
	return janitor.Config{
		Policy: retention.Policy{
			Artifacts: time.Duration(c.Retention.Artifacts), Logs: time.Duration(c.Retention.Logs), Failed: time.Duration(c.Retention.Failed),
			Downsample: time.Duration(c.Retention.Downsample), Samples: time.Duration(c.Retention.Samples),
		},
		Interval: time.Duration(c.Janitor.Interval),
	}
}
