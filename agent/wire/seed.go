package wire

import (
	"encoding/hex"
	"log/slog"
	"net/netip"
	"net/url"
)

// SeedFile is where the agent finds its [Seed] in the initramfs.
const SeedFile = "/vetting/seed.json"

// Seed is what the agent must know to find and to trust its appliance. It
// travels in the per-run initrd segment, as /vetting/seed.json, and holds a
// secret: it is never logged.
type Seed struct {
	Version    int    `json:"version"`     // protocol of the appliance
	Server     string `json:"server"`      // "https://10.77.0.1", by IP address: the image has no resolver
	Run        string `json:"run"`         // ULID
	MAC        string `json:"mac"`         // of the NIC the machine booted from
	BootToken  string `json:"boot_token"`  // one-time, consumed by claim
	SPKISHA256 string `json:"spki_sha256"` // SHA-256 of the appliance's public key (DER SubjectPublicKeyInfo), lower-case hex
	ImageID    string `json:"image_id"`    // SHA-256 of the manifest of the image the script offered; empty: not told
	Expires    Time   `json:"expires"`     // when the boot token ends unless claimed, by the appliance's clock
}

// String names the run and the appliance, and keeps the token to itself.
func (s Seed) String() string { return "seed of run " + s.Run + " at " + s.Server }

// LogValue is String, so that no log gets the token.
func (s Seed) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Validate demands all that the agent needs before it says a word.
func (s Seed) Validate() error {
	var f faults

	if !Speaks(s.Version) {
		f.add("version %d is not spoken here, only %s", s.Version, Versions())
	}

	if !validServer(s.Server) {
		f.add("server %.64q must be https:// and an IP address", s.Server)
	}

	if !ValidRun(s.Run) {
		f.add("run %.64q is not a ULID", s.Run)
	}

	if digest, err := hex.DecodeString(s.SPKISHA256); err != nil || len(digest) != 32 {
		f.add("spki_sha256 must be 64 hexadecimal digits")
	}

	f.mac("mac", s.MAC)
	f.need("boot_token", s.BootToken, MaxToken)
	f.atMost("image_id", len(s.ImageID), MaxName)

	return f.err()
}

func validServer(server string) bool {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}

	_, err = netip.ParseAddr(u.Hostname())

	return err == nil
}

// ValidRun reports whether id is a ULID: 26 characters of Crockford's base 32.
func ValidRun(id string) bool {
	if len(id) != 26 {
		return false
	}

	for _, c := range []byte(id) {
		digit := c >= '0' && c <= '9'
		letter := c >= 'A' && c <= 'Z' && c != 'I' && c != 'L' && c != 'O' && c != 'U'

		if !digit && !letter {
			return false
		}
	}

	return true
}
