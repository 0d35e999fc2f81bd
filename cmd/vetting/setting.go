package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"vetting/core"
)

// setting is one scalar key of the configuration: its path, what it means (the
// comment of the example file and the reference), and where it is kept.
type setting struct {
	key  string
	flag string // empty: no flag of its own
	doc  string
	at   func(*Config) any
}

// settings lists every scalar key, in the order of the file. Environment names
// follow from the keys: netboot.pool.start is VETTING_NETBOOT_POOL_START.
func settings() []setting {
	return slices.Concat(generalSettings(), consoleSettings(), oidcSettings(), netbootSettings(), trafficSettings(), hostSettings(), runSettings(), upkeepSettings())
}

func generalSettings() []setting {
	return []setting{
		{"version", "", "version of this file's format", func(c *Config) any { return &c.Version }},
		{"data_dir", "data-dir", "ledger, logs, artifacts and keys; only the appliance may read it", func(c *Config) any { return &c.DataDir }},
		{"log.level", "log-level", "debug, info, warn or error", func(c *Config) any { return &c.Log.Level }},
		{"log.format", "log-format", "text or json, on standard error", func(c *Config) any { return &c.Log.Format }},
	}
}

func consoleSettings() []setting {
	return []setting{
		{"console.listen", "console-listen", "address and port of the console; hosts under test do not reach it, unless this is the test NIC's own address", func(c *Config) any { return &c.Console.Listen }},
		{"console.url", "", "how people reach the console, as in https://vetting.lan:8443, for links; empty: by the address above", func(c *Config) any { return &c.Console.URL }},
		{"console.tls.mode", "", "self-signed, files (cert and key below), or off (loopback only)", func(c *Config) any { return &c.Console.TLS.Mode }},
		{"console.tls.cert", "", "PEM file with the certificate chain, for mode files", func(c *Config) any { return &c.Console.TLS.Cert }},
		{"console.tls.key", "", "PEM file with the private key, for mode files", func(c *Config) any { return &c.Console.TLS.Key }},
	}
}

func netbootSettings() []setting {
	return []setting{
		{
			"netboot.mode", "mode", "dhcp: we give the addresses on a network of our own; proxy: beside another DHCP server, saying only what to load; off: no DHCP, only what another server names",
			func(c *Config) any { return &c.Netboot.Mode },
		},
		{"netboot.interface", "interface", "the dedicated test NIC; empty: no machine is answered until one is chosen in the console", func(c *Config) any { return &c.Netboot.Interface }},
		{"netboot.subnet", "subnet", "our own address on the test NIC, with the length of the network", func(c *Config) any { return &c.Netboot.Subnet }},
		{"netboot.pool.start", "", "first address given to hosts; empty, with end: all of the network but its lowest ten", func(c *Config) any { return &c.Netboot.Pool.Start }},
		{"netboot.pool.end", "", "last address given to hosts", func(c *Config) any { return &c.Netboot.Pool.End }},
		{"netboot.pool.lease", "", "lease time; at least 1h, so that no renewal hits a running test", func(c *Config) any { return &c.Netboot.Pool.Lease }},
		{
			"netboot.dns", "", "name servers that hosts are told of (DHCP option 6), by their IPv4 addresses, three at most, with spaces between; a boot_url with a name needs one",
			func(c *Config) any { return &c.Netboot.DNS },
		},
		{"netboot.ntp", "", "time servers that hosts are told of (DHCP option 42), likewise", func(c *Config) any { return &c.Netboot.NTP }},
		{
			"netboot.router_solicitations", "", "answer machines that look for an IPv6 router, which saves iPXE up to 20 s: on, off, or auto (in mode dhcp)",
			func(c *Config) any { return &c.Netboot.Solicitation },
		},
		{"netboot.i_own_this_network", "i-own-this-network", "serve DHCP even on the NIC that holds the default route", func(c *Config) any { return &c.Netboot.OwnNetwork }},
	}
}

func trafficSettings() []setting {
	return []setting{
		{"traffic.port", "", "TCP port of the throughput partner on the test NIC, for the stage Network; its UDP ports are given out one by one", func(c *Config) any { return &c.Traffic.Port }},
		{
			"traffic.iperf3", "", "answer iperf3 too, at the same port (TCP, -R, -P), for whoever is on the test network; it verifies nothing and no stage uses it",
			func(c *Config) any { return &c.Traffic.IPerf3 },
		},
	}
}

func hostSettings() []setting {
	return []setting{
		{
			"host_api.trust_lan", "", "take unsigned calls of installed hosts on the test network, and have hosts reboot without a key that was approved",
			func(c *Config) any { return &c.HostAPI.TrustLAN },
		},
		{
			"host_api.enrol_key", "", "what a host must know to register itself (VETTING_ENROL_KEY of quick.sh); empty: nothing",
			func(c *Config) any { return &c.HostAPI.EnrolKey },
		},
		{"host_api.silence", "", "without a word of its agent an installed host counts as offline", func(c *Config) any { return &c.HostAPI.Silence }},
		{"hosts.trash", "", "how long a deleted host can be brought back", func(c *Config) any { return &c.Hosts.Trash }},
	}
}

func upkeepSettings() []setting {
	return []setting{
		{"retention.artifacts", "", "how long files of a run are kept after its end; 0d is for ever; records never go", func(c *Config) any { return &c.Retention.Artifacts }},
		{"retention.logs", "", "how long logs of a run are kept after its end; 0d is for ever", func(c *Config) any { return &c.Retention.Logs }},
		{"retention.failed", "", "how long both are kept, at least, of a run that did not pass, or not at once; 0d is for ever", func(c *Config) any { return &c.Retention.Failed }},
		{
			"retention.downsample", "", "the step that raw samples are summed up in (least, mean, greatest), as in 10s; 0s keeps them raw for ever",
			func(c *Config) any { return &c.Retention.Downsample },
		},
		{"retention.samples", "", "how long samples are kept raw after the end of the run, where they are summed up", func(c *Config) any { return &c.Retention.Samples }},
		{"janitor.interval", "", "how often is looked for what may go", func(c *Config) any { return &c.Janitor.Interval }},
		{"backup.dir", "", "folder that backups are put into by themselves; empty: none are made", func(c *Config) any { return &c.Backup.Dir }},
		{"backup.interval", "", "how old the newest backup gets before the next is made", func(c *Config) any { return &c.Backup.Interval }},
		{"backup.keep", "", "how many of them are kept; the oldest go once a new one was read again", func(c *Config) any { return &c.Backup.Keep }},
		{"backup.keys", "", "put the key pairs and secrets of the appliance into them, so that another machine can take its place at once", func(c *Config) any { return &c.Backup.Keys }},
	}
}

func runSettings() []setting {
	return []setting{
		{"dispatcher.max_concurrent_runs", "max-concurrent-runs", "runs that may be under way at once; more wait, first in first out", func(c *Config) any { return &c.Dispatcher.MaxConcurrentRuns }},
		{"run.boot_deadline", "", "from the start of a boot to the agent's first word", func(c *Config) any { return &c.Run.BootDeadline }},
		{"run.heartbeat.interval", "", "how often the agent beats", func(c *Config) any { return &c.Run.Heartbeat.Interval }},
		{"run.heartbeat.stale", "", "silence after which the console says so", func(c *Config) any { return &c.Run.Heartbeat.Stale }},
		{"run.heartbeat.lost", "", "silence after which the run ends in error", func(c *Config) any { return &c.Run.Heartbeat.Lost }},
		{"run.patience", "", "how long one way to switch a host on is given before the next is tried", func(c *Config) any { return &c.Run.Patience }},
		{"run.profile", "", "the profile that the console chooses beforehand where a run is started", func(c *Config) any { return &c.Run.Profile }},
		{"run.hold", "", "how long a failed host is kept on for people to look inside; then it is switched off", func(c *Config) any { return &c.Run.Hold }},
	}
}

// lists explains the keys that hold more than one value, or belong to something
// that people name ("*"). They have neither flag nor variable.
func lists() []setting {
	const rule = "profiles.*.thresholds."

	return []setting{
		{key: "oidc.scopes", doc: "what the provider is asked for beside openid; without it, profile and email"},
		{key: "oidc.admins", doc: "who comes in as an administrator: verified addresses (name@domain), all of a domain (@example.org), or groups"},
		{key: "oidc.operators", doc: "likewise, as an operator"},
		{key: "oidc.viewers", doc: "likewise, as a viewer; whoever is in none of the three is refused"},
		{key: "netboot.reservations", doc: "addresses set apart, as MAC: address, in the network or in one behind a relay"},
		{key: "netboot.relayed", doc: "networks whose DHCP relay agents are answered; others are not"},
		{key: "netboot.relayed.subnet", doc: "the relay's own address on that network, with the network's length"},
		{key: "netboot.relayed.pool.start", doc: "first address given to hosts there; empty, with end: all but the lowest ten"},
		{key: "netboot.relayed.pool.end", doc: "last address given to hosts there"},
		{key: "netboot.kernel_args", doc: "more arguments for the kernel of the boot image, each one word"},
		{key: "notifiers.*.type", doc: "ntfy, discord, smtp, webhook or shoutrrr"},
		{key: "notifiers.*.url", doc: "a secret: the server of ntfy, or where discord, webhook and shoutrrr post to"},
		{key: "notifiers.*.topic", doc: "of ntfy"},
		{key: "notifiers.*.token", doc: "a secret: access token of ntfy, if it asks for one"},
		{key: "notifiers.*.secret", doc: "a secret: what webhook messages are signed with, by Standard Webhooks"},
		{key: "notifiers.*.server", doc: "of smtp, as in mail.example.com:587"},
		{key: "notifiers.*.tls", doc: "of smtp: starttls (default), tls from the first byte, or off"},
		{key: "notifiers.*.user", doc: "of smtp; without it nobody logs in"},
		{key: "notifiers.*.password", doc: "a secret: of smtp"},
		{key: "notifiers.*.from", doc: "of smtp: the sender"},
		{key: "notifiers.*.to", doc: "of smtp: the receivers"},
		{key: "notifiers.*.attempts", doc: "how often a message is tried; 1 by default, since after more it may arrive twice"},
		{key: "routes.events", doc: "StageFailed, SpecMismatch, RunFailed, HoldingOpened, RunCompleted, BatchCompleted, Alarm; without it, all"},
		{key: "routes.severities", doc: "critical, warning, info; without it, all"},
		{key: "routes.to", doc: "the notifiers that are told"},
		{key: "profiles.*.description", doc: "what the profile is for, one line"},
		{key: "profiles.*.extends", doc: "the profile that this one changes; without it, stages are required"},
		{key: "profiles.*.stages", doc: "the stages in their order, by their names"},
		{key: "profiles.*.scale", doc: "shortens every duration, for virtual hosts; printed on the report"},
		{key: "profiles.*.config", doc: "settings of the stages, as STAGE.KEY: value"},
		{key: "profiles.*.thresholds", doc: "rules, laid over those of the profile below"},
		{key: rule + "id", doc: "the rule's name: one of the profile below of the same name is replaced; default: profile/NAME/NUMBER"},
		{key: rule + "stage", doc: "the stage the rule is for; * for all"},
		{key: rule + "key", doc: "the sample's key; * matches within one part of it"},
		{key: rule + "op", doc: "the condition that must hold: lt, lte, gt, gte, within_pct"},
		{key: rule + "value", doc: "the bound"},
		{key: rule + "of", doc: "what the value is a percentage of: a constant, a key of the catalogue, or baseline; within_pct needs it"},
		{key: rule + "fallback", doc: "with of: baseline, what to measure against while no host of the class has passed"},
		{key: rule + "severity", doc: "critical, warning or info"},
		{key: rule + "for", doc: "how long the condition must be broken before it counts"},
		{key: rule + "count", doc: "how many samples must break the condition before it counts"},
		{key: rule + "required", doc: "a sample that is absent or not a number is then an error"},
	}
}

// env returns the name of the environment variable that sets the key.
func (s setting) env() string {
	return "VETTING_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// set reads text as the YAML scalar for the key.
func (s setting) set(c *Config, text string) error {
	if err := yaml.Unmarshal([]byte(text), s.at(c)); err != nil {
		if _, hidden := s.at(c).(*Secret); hidden {
			return fmt.Errorf("%s: what was given does not fit: %s", s.key, s.doc)
		}

		return fmt.Errorf("%s: %q does not fit: %s", s.key, text, s.doc)
	}

	return nil
}

// value returns the key's value as YAML writes it.
func (s setting) value(c *Config) string {
	text, err := yaml.Marshal(s.at(c))
	if err != nil {
		return err.Error()
	}

	return strings.TrimSpace(string(text))
}

// source is where the values come from, apart from the defaults.
type source struct {
	file   string            // path; empty: no file
	env    map[string]string // by variable name
	flags  map[string]string // by flag name, only those given
	origin map[string]string // filled by load: key → "default", "console", "file PATH:LINE", "env NAME", "flag --name"

	settled  core.Settings     // what was set in the console
	lost     []string          // filled by load: notifiers of the console whose secrets are not there
	profiles map[string]string // filled by load: where the file's profiles stand, "FILE:LINE"
}

// load puts defaults, file, environment and flags together and checks the
// whole. Every fault is named with its key, or with line and column.
func (s *source) load() (Config, error) {
	config := Defaults()
	s.origin = map[string]string{}

	for _, setting := range settings() {
		s.origin[setting.key] = "default"
	}

	if err := errors.Join(s.settle(&config), s.readFile(&config), s.overlay(&config), s.unknownEnv()); err != nil {
		return config, err
	}

	s.settleNotifiers(&config) // by the data directory, which is known now

	if err := config.Validate(); err != nil {
		return config, fmt.Errorf("checking the configuration:\n%w", err)
	}

	return config, nil
}

func (s *source) readFile(config *Config) error {
	if s.file == "" {
		return nil
	}

	text, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the configuration: %s is not there; write one with: vetting config init > %s", s.file, s.file)
	}

	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}

	if err := decodeStrict(text, config); err != nil {
		return fmt.Errorf("%s:\n%w", s.file, err)
	}

	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return fmt.Errorf("%s:\n%w", s.file, err)
	}

	lines := keyLines(text)
	s.profiles = profilePlaces(s.file, text, config.Profiles)

	for _, setting := range settings() {
		if !has(tree, strings.Split(setting.key, ".")) {
			continue
		}

		s.origin[setting.key] = "file " + s.file
		if line := lines[setting.key]; line > 0 { // 0: by an anchor or a merge key
			s.origin[setting.key] += ":" + strconv.Itoa(line)
		}
	}

	return nil
}

func has(tree map[string]any, path []string) bool {
	value, ok := tree[path[0]]
	if !ok || len(path) == 1 {
		return ok
	}

	sub, ok := value.(map[string]any)

	return ok && has(sub, path[1:])
}

func (s *source) overlay(config *Config) error {
	var faults []error

	for _, setting := range settings() {
		if text, ok := s.env[setting.env()]; ok {
			s.origin[setting.key] = "env " + setting.env()
			faults = append(faults, setting.set(config, text))
		}

		if text, ok := s.flags[setting.flag]; ok && setting.flag != "" {
			s.origin[setting.key] = "flag --" + setting.flag
			faults = append(faults, setting.set(config, text))
		}
	}

	return errors.Join(faults...)
}

// unknownEnv refuses VETTING_ variables that set nothing: a misspelt one would
// otherwise be ignored in silence.
func (s *source) unknownEnv() error {
	known := map[string]bool{"VETTING_CONFIG": true, "VETTING_SERVER": true, "VETTING_TOKEN": true, "VETTING_CERT": true}
	for _, setting := range settings() {
		known[setting.env()] = true
	}

	var faults []error

	for name := range s.env {
		if strings.HasPrefix(name, "VETTING_") && !known[name] {
			faults = append(faults, fmt.Errorf("environment variable %s sets no key; see: vetting config show --origin", name))
		}
	}

	return errors.Join(faults...)
}

// environ returns the process's environment as a map.
func environ() map[string]string {
	env := map[string]string{}

	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}

	return env
}

// example returns the commented configuration file made from the defaults.
func example() (string, error) {
	defaults := Defaults()

	return exampleOf(&defaults)
}

// exampleOf returns the commented configuration file with the values of config.
func exampleOf(config *Config) (string, error) {
	comments := yaml.CommentMap{}
	for _, setting := range settings() {
		comments["$."+setting.key] = []*yaml.Comment{yaml.LineComment(" " + setting.doc)}
	}

	text, err := yaml.MarshalWithOptions(*config, yaml.WithComment(comments))
	if err != nil {
		return "", fmt.Errorf("writing the example: %w", err)
	}

	return exampleHead + string(text) + exampleTail, nil
}

const exampleHead = `# vetting configuration. Check it with: vetting config check FILE
# Precedence: flag, environment (VETTING_ + key in capitals), this file, what was set in the console, default.
# Unknown keys are errors.
`

const exampleTail = `
# An operator's own profile:
# profiles:
#   receiving:
#     description: short look at a new delivery
#     extends: quick
#     config: {SMART.policy: used}
#     thresholds:
#       - {stage: SMART, key: "disk/*/temperature_celsius", op: lte, value: 45, severity: warning}
`
