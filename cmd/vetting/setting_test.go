package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, file string, env, flags map[string]string) (Config, *source, error) {
	t.Helper()

	s := &source{env: env, flags: flags}
	if file != "" {
		s.file = filepath.Join(t.TempDir(), "vetting.yaml")
		if err := os.WriteFile(s.file, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	config, err := s.load()

	return config, s, err
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	const file = "netboot: {interface: eth1, pool: {lease: 2h}}\nrun: {boot_deadline: 20m}\n"

	config, s, err := load(t, file,
		map[string]string{"VETTING_NETBOOT_INTERFACE": "eth2", "VETTING_RUN_BOOT_DEADLINE": "30m", "HOME": "/root"},
		map[string]string{"interface": "eth3"})
	if err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct{ key, want, origin string }{
		{"netboot.interface", "eth3", "flag --interface"},
		{"run.boot_deadline", "30m", "env VETTING_RUN_BOOT_DEADLINE"},
		{"netboot.pool.lease", "2h", "file " + s.file + ":1"},
		{"netboot.subnet", "10.77.0.1/24", "default"},
	} {
		for _, setting := range settings() {
			if setting.key != test.key {
				continue
			}

			if got := setting.value(&config); got != test.want || s.origin[test.key] != test.origin {
				t.Errorf("%s = %s from %s, want %s from %s", test.key, got, s.origin[test.key], test.want, test.origin)
			}
		}
	}
}

func TestFaultsNameTheirPlace(t *testing.T) {
	for name, test := range map[string]struct {
		file  string
		env   map[string]string
		flags map[string]string
		want  []string
	}{
		"a misspelt key shows the line":        {file: "version: 1\nnetboot:\n  interfase: eth1\n", want: []string{"interfase", "3 |"}},
		"a repeated key":                       {file: "data_dir: /a\ndata_dir: /b\n", want: []string{"data_dir", "2"}},
		"broken YAML shows the line":           {file: "netboot: [\n", want: []string{"1 |"}},
		"every fault at once, with its path":   {file: "log: {level: loud, format: xml}\ndispatcher: {max_concurrent_runs: 0}\n", want: []string{"log.level", "log.format", "dispatcher.max_concurrent_runs"}},
		"a pool outside the subnet":            {file: "netboot: {pool: {start: 10.78.0.1, end: 10.78.0.9}}\n", want: []string{"netboot.pool", "10.77.0.0/24"}},
		"an unknown mode":                      {file: "netboot: {mode: both}\n", want: []string{"netboot.mode", "dhcp, proxy or off"}},
		"an unknown word about solicitations":  {file: "netboot: {router_solicitations: maybe}\n", want: []string{"netboot.router_solicitations", "auto, on, off"}},
		"a reservation for no MAC":             {file: "netboot: {reservations: {bench: 10.77.0.5}}\n", want: []string{"netboot.reservations", "bench"}},
		"a reservation of no address":          {file: "netboot: {reservations: {'52:54:00:00:00:01': bench}}\n", want: []string{"netboot.reservations.52:54:00:00:00:01", "bench"}},
		"a reservation elsewhere":              {file: "netboot: {reservations: {'52:54:00:00:00:01': 10.99.0.5}}\n", want: []string{"netboot", "10.99.0.5", "none of the networks"}},
		"a relayed network that is none":       {file: "netboot: {relayed: [{subnet: 10.78.0.0}]}\n", want: []string{"netboot.relayed[0].subnet"}},
		"a relayed pool elsewhere":             {file: "netboot: {relayed: [{subnet: 10.78.0.1/24, pool: {start: 10.79.0.1, end: 10.79.0.2}}]}\n", want: []string{"netboot.relayed[0]", "10.78.0.0/24"}},
		"a relayed network that is ours":       {file: "netboot: {relayed: [{subnet: 10.77.0.9/16}]}\n", want: []string{"netboot", "overlaps"}},
		"a lease under an hour":                {file: "netboot: {pool: {lease: 5m}}\n", want: []string{"netboot.pool.lease"}},
		"plain console beyond loopback":        {file: "console: {listen: '0.0.0.0:80', tls: {mode: off}}\n", want: []string{"console.tls.mode", "loopback"}},
		"a duration that is none":              {file: "run: {boot_deadline: soon}\n", want: []string{"soon", "15m"}},
		"an environment variable nobody knows": {env: map[string]string{"VETTING_NETBOT_INTERFACE": "x"}, want: []string{"VETTING_NETBOT_INTERFACE"}},
		"a flag that does not fit":             {flags: map[string]string{"max-concurrent-runs": "many"}, want: []string{"dispatcher.max_concurrent_runs", "many"}},
		"a file of a later version":            {file: "version: 2\n", want: []string{"version", "2"}},
		"heartbeat limits in the wrong order":  {file: "run: {heartbeat: {interval: 60s, stale: 15s}}\n", want: []string{"run.heartbeat"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := load(t, test.file, test.env, test.flags)
			if err == nil {
				t.Fatal("accepted")
			}

			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestExampleIsTheDefaultsAndCommentsEveryKey(t *testing.T) {
	text, err := example()
	if err != nil {
		t.Fatal(err)
	}

	config, s, err := load(t, text, nil, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}

	want := Defaults()

	for _, setting := range settings() {
		if got := setting.value(&config); got != setting.value(&want) || !strings.HasPrefix(s.origin[setting.key], "file "+s.file+":") {
			t.Errorf("%s = %s from %s", setting.key, got, s.origin[setting.key])
		}

		if !strings.Contains(text, setting.doc) {
			t.Errorf("%s has no comment in the example", setting.key)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 720 * time.Hour, "90s": 90 * time.Second, "1h30m": 90 * time.Minute} {
		d, err := ParseDuration(text)
		if err != nil || time.Duration(d) != want {
			t.Errorf("%s = %v, %v", text, d, err)
		}

		if again, err := ParseDuration(d.String()); err != nil || again != d {
			t.Errorf("%s written as %s", text, d)
		}
	}

	for _, text := range []string{"", "-5m", "d", "5", "99999999d"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q accepted as %v", text, d)
		}
	}
}

func FuzzConfigNeverPanics(f *testing.F) {
	f.Add("version: 1\nnetboot: {interface: eth1}\n")
	f.Add("profiles: {a: {extends: quick}}\n")
	f.Fuzz(func(_ *testing.T, text string) {
		config := Defaults()
		if decodeStrict([]byte(text), &config) == nil {
			_ = config.Validate()
		}
	})
}
