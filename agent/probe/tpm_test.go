package probe_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"vetting/agent/collect"
	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/core"
)

// tpmCommand is TPM2_GetCapability as tpm2-tools write it, for 13 properties from 100h.
const tpmCommand = "8001000000160000017a00000006000001000000000d"

// Responses of TPMs. That of swtpm 0.7.1 with libtpms 0.9.2 was recorded from its socket; the
// other is made of what tpm2_getcap properties-fixed prints of a Nuvoton NPCT75x (public
// notes on NTC0702:00).
const (
	swtpm = "80010000007b0000000001000000060000000d00000100322e3000000001010000000000000102000000a4000001030000004b00000104000007e50000010549424d" +
		"000000010653572020000001072054504d000001080000000000000109000000000000010a000000010000010b201910230000010c00163636"
	nuvoton = "80010000007b0000000001000000060000000d00000100322e30000000010100000000000001020000008a000001030000000800000104000007e2000001054e544300" +
		"000001064e5043540000010737357800000001080201002400000109726c73000000010a000000000000010b000700020000010c00010000"
)

// spoken answers the one command that there is.
type spoken struct {
	t        *testing.T
	response string // hex
	err      error
}

func (s spoken) Do(command []byte) ([]byte, error) {
	if got := hex.EncodeToString(command); got != tpmCommand {
		s.t.Errorf("asked %s, want %s", got, tpmCommand)
	}

	return unhex(s.t, s.response), s.err
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()

	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}

	return raw
}

func TestWhatATPMTellsOfItself(t *testing.T) {
	const family = "sys/class/tpm/tpm0/tpm_version_major"

	for name, c := range map[string]struct {
		major string // as the kernel says; empty: there is no TPM
		tpm   probe.TPM
		want  *core.TPM
		fault string
	}{
		"a chip":                          {"2", spoken{t, nuvoton, nil}, &core.TPM{Version: "2.0", Manufacturer: "NTC", Firmware: "7.2.1.0"}, ""},
		"one of software":                 {"2", spoken{t, swtpm, nil}, &core.TPM{Version: "2.0", Manufacturer: "IBM", Firmware: "8217.4131.22.13878"}, ""},
		"one that nobody may talk to":     {"2", nil, &core.TPM{Version: "2.0"}, ""},
		"one of the family before":        {"1", spoken{t, "", errors.New("asked")}, &core.TPM{Version: "1.2"}, ""},
		"none":                            {"", spoken{t, "", errors.New("asked")}, nil, ""},
		"one that does not answer":        {"2", spoken{t, "", errors.New("it did not answer")}, &core.TPM{Version: "2.0"}, "the TPM did not tell of itself: it did not answer"},
		"one that was not started":        {"2", spoken{t, "80010000000a00000100", nil}, &core.TPM{Version: "2.0"}, "code 0x100"},
		"one that breaks off":             {"2", spoken{t, nuvoton[:60], nil}, &core.TPM{Version: "2.0"}, "not what it says"},
		"one that counts wrong":           {"2", spoken{t, strings.Replace(nuvoton, "0000000d", "0000000e", 1), nil}, &core.TPM{Version: "2.0"}, "do not fit"},
		"one that counts beyond all":      {"2", spoken{t, strings.Replace(nuvoton, "0000000d", "ffffffff", 1), nil}, &core.TPM{Version: "2.0"}, "do not fit"},
		"one that answers something else": {"2", spoken{t, strings.Replace(nuvoton, "00000006", "00000001", 1), nil}, &core.TPM{Version: "2.0"}, "another question"},
	} {
		root := fstest.MapFS{"sys/class": {Mode: 0o755}}
		if c.major != "" {
			root = fstest.MapFS{family: {Data: []byte(c.major + "\n")}}
		}

		got, err := probe.Machine{Root: root, TPM: c.tpm}.TrustedModule(nil)
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}

		if errors.Is(err, probe.ErrTPM) != (c.fault != "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v, want %q", name, err, c.fault)
		}
	}
}

// What the TPM says of its firmware is among the firmware, though SMBIOS does not speak of it.
func TestFirmwareOfTheTPM(t *testing.T) {
	tree := fstest.MapFS{"sys/class/tpm/tpm0/tpm_version_major": {Data: []byte("2\n")}}

	items, err := probe.Machine{Root: tree, Bus: &disk.Replay{}, Ports: collect.Ports{}, TPM: spoken{t, nuvoton, nil}}.Firmware("")
	want := core.FirmwareItem{Part: core.Part{Kind: "tpm", Slot: "tpm0", Model: "NTC 2.0"}, Name: "TPM", Version: "7.2.1.0"}

	if err != nil || len(items) != 1 || items[0] != want {
		t.Errorf("%+v, %v", items, err)
	}

	_, err = probe.Machine{Root: tree, Bus: &disk.Replay{}, Ports: collect.Ports{}, TPM: spoken{t, "80010000000a00000101", nil}}.Firmware("")
	if err == nil || !strings.Contains(err.Error(), "code 0x101") { // failure mode
		t.Errorf("a TPM that has failed: %v", err)
	}
}

func FuzzParseTPM(f *testing.F) {
	f.Add(unhex(f, swtpm))
	f.Add(unhex(f, nuvoton))
	f.Add(unhex(f, "80010000000a00000100"))

	f.Fuzz(func(t *testing.T, response []byte) {
		told, err := probe.ParseTPM(response)
		if err != nil {
			return
		}

		if len(response) < 19 || binary.BigEndian.Uint32(response[2:]) != uint32(len(response)) { //nolint:gosec // bounded by the parser
			t.Errorf("%x is taken", response)
		}

		for _, text := range []string{told.Version, told.Manufacturer, told.Firmware} {
			if len(text) > len("65535.65535.65535.65535") || bytes.ContainsFunc([]byte(text), func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q", text)
			}
		}
	})
}
