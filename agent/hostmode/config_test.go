package hostmode_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/hostmode"
	"vetting/core"
)

const pin = "3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855e"

func TestAConfigurationIsReadStrictly(t *testing.T) {
	tests := map[string]struct{ text, why string }{
		"the installer's":       {`{"appliance":"https://10.0.0.5:8443","spki_sha256":"` + pin + `","enrol_key":"x","mac":"52:54:00:12:34:56"}`, ""},
		"the least":             {`{"appliance":"https://vetting.example","spki_sha256":"` + pin + `"}`, ""},
		"plain HTTP":            {`{"appliance":"http://10.0.0.5","spki_sha256":"` + pin + `"}`, "must be https"},
		"a path":                {`{"appliance":"https://10.0.0.5/x","spki_sha256":"` + pin + `"}`, "must be https"},
		"no pin":                {`{"appliance":"https://10.0.0.5"}`, "64 hexadecimal digits"},
		"a MAC that is none":    {`{"appliance":"https://10.0.0.5","spki_sha256":"` + pin + `","mac":"x"}`, "mac"},
		"a key nobody knows":    {`{"appliance":"https://10.0.0.5","spki_sha256":"` + pin + `","pin":1}`, "unknown field"},
		"two configurations":    {`{"appliance":"https://10.0.0.5","spki_sha256":"` + pin + `"}{}`, "something follows"},
		"an enrolment too long": {`{"appliance":"https://10.0.0.5","spki_sha256":"` + pin + `","enrol_key":"` + strings.Repeat("x", 300) + `"}`, "enrol_key"},
		"nothing":               {``, "EOF"},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "c.json")
			if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}

			_, err := hostmode.ReadConfig(file)
			if (err == nil) != (test.why == "") || err != nil && !strings.Contains(err.Error(), test.why) {
				t.Errorf("%v, want one about %q", err, test.why)
			}
		})
	}

	if _, err := hostmode.ReadConfig("/no/such/file"); err == nil {
		t.Error("a file that is not there was read")
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"appliance":"https://10.0.0.5:8443","spki_sha256":"` + pin + `"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c, err := hostmode.ParseConfig(raw); err == nil && !strings.HasPrefix(c.Appliance, "https://") {
			t.Errorf("%+v", c)
		}
	})
}

func TestTheKeyIsMadeOnceAndForRootAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")

	first, err := hostmode.LoadKey(dir, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	again, err := hostmode.LoadKey(dir, rand.Reader)
	if err != nil || !first.Equal(again) {
		t.Errorf("another key at the next start: %v", err)
	}

	file := filepath.Join(dir, "host.key")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}

	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}

	if _, err := hostmode.LoadKey(dir, rand.Reader); err == nil || !strings.Contains(err.Error(), "open to others") {
		t.Errorf("a key that others may read: %v", err)
	}

	for _, content := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("A"), 100), []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}

		if err := os.Chmod(file, 0o600); err != nil {
			t.Fatal(err)
		}

		if _, err := hostmode.LoadKey(dir, rand.Reader); err == nil || !strings.Contains(err.Error(), "no Ed25519 key") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestAMachineIsKnownByThePortThatReachesTheAppliance(t *testing.T) {
	root := fstest.MapFS{}

	for name, mac := range map[string]string{"eth0": "52:54:00:00:00:01", "eth1": "52:54:00:00:00:02", "eth2": "52:54:00:00:00:02"} {
		root["sys/class/net/"+name+"/address"] = &fstest.MapFile{Data: []byte(mac + "\n")}
		root["sys/class/net/"+name+"/device/vendor"] = &fstest.MapFile{}
	}

	for name, below := range map[string]string{"br0": "vlan5", "vlan5": "bond0", "bond0": "eth2", "loop0": "loop1", "loop1": "loop0"} {
		root["sys/class/net/"+name+"/lower_"+below+"/x"] = &fstest.MapFile{}
	}

	burnt := map[string]core.MAC{"eth2": "52:54:00:00:00:03", "eth0": "00:00:00:00:00:00"}
	ports := hostmode.Ports(root, func(name string) core.MAC { return burnt[name] })

	tests := map[string]struct {
		face   string
		mac    core.MAC
		others []core.MAC
	}{
		"a port":           {"eth1", "52:54:00:00:00:02", []core.MAC{"52:54:00:00:00:01", "52:54:00:00:00:03"}},
		"a bridge and all": {"br0", "52:54:00:00:00:03", []core.MAC{"52:54:00:00:00:01", "52:54:00:00:00:02"}},
		"a tunnel":         {"wg0", "52:54:00:00:00:01", []core.MAC{"52:54:00:00:00:02", "52:54:00:00:00:03"}},
		"a circle":         {"loop0", "52:54:00:00:00:01", []core.MAC{"52:54:00:00:00:02", "52:54:00:00:00:03"}},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			mac, others, err := hostmode.Primary(root, test.face, ports)
			if diff := cmp.Diff(test.others, others); err != nil || mac != test.mac || diff != "" {
				t.Errorf("%s %v %v", mac, err, diff)
			}
		})
	}

	if _, _, err := hostmode.Primary(root, "eth0", nil); err == nil {
		t.Error("a machine without ports has an address")
	}

	if name, err := hostmode.PortTo(t.Context(), hostmode.Config{Appliance: "https://127.0.0.1:1"}); err != nil || name != "lo" {
		t.Errorf("the way to ourselves: %q %v", name, err)
	}
}
