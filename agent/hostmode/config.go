package hostmode

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"

	"vetting/agent/wire"
	"vetting/core"
)

// Where an installed agent keeps what it must know.
const (
	ConfigFile  = "/etc/vetting-agent.json"
	StateDir    = "/var/lib/vetting-agent" // holds the key
	ProtectFile = "/etc/vetting-protect"   // where it exists, the machine is not rebooted
)

const maxConfig = 64 << 10 // bytes

// Config is the file that the installer writes.
type Config struct {
	Appliance  string   `json:"appliance"`     // "https://10.0.0.5:8443"
	SPKISHA256 string   `json:"spki_sha256"`   // of the key that answers there, hex: no other is trusted
	EnrolKey   string   `json:"enrol_key"`     // where the appliance asks for one; optional
	MAC        core.MAC `json:"mac,omitempty"` // of the port that boots from the network; default: the one that reaches the appliance
}

// ReadConfig reads and checks a configuration. The error names what is wrong.
func ReadConfig(path string) (Config, error) {
	file, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	defer file.Close() //nolint:errcheck // opened for reading

	raw, err := io.ReadAll(io.LimitReader(file, maxConfig))
	if err != nil {
		return Config{}, fmt.Errorf("reading the configuration: %w", err)
	}

	c, err := ParseConfig(raw)
	if err != nil {
		return Config{}, fmt.Errorf("reading %s: %w", path, err)
	}

	return c, nil
}

// ParseConfig reads a configuration strictly: a key that is not known is a fault.
func ParseConfig(raw []byte) (c Config, err error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()

	if err := decoder.Decode(&c); err != nil {
		return Config{}, err
	}

	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Config{}, errors.New("something follows the configuration")
	}

	return c, c.validate()
}

func (c *Config) validate() error {
	var faults []error

	u, err := url.Parse(c.Appliance)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		faults = append(faults, fmt.Errorf("appliance %.80q must be https:// and a name or address, with a port if need be", c.Appliance))
	}

	if pin, err := hex.DecodeString(c.SPKISHA256); err != nil || len(pin) != sha256.Size {
		faults = append(faults, errors.New("spki_sha256 must be 64 hexadecimal digits"))
	}

	if c.MAC != "" && !wire.ValidMAC(string(c.MAC)) {
		faults = append(faults, fmt.Errorf("mac %.40q must be like 52:54:00:12:34:56", string(c.MAC)))
	}

	if len(c.EnrolKey) > wire.MaxToken {
		faults = append(faults, fmt.Errorf("enrol_key has %d bytes, %d at most", len(c.EnrolKey), wire.MaxToken))
	}

	return errors.Join(faults...)
}

// hostPort is where the appliance is dialled.
func (c *Config) hostPort() (host, port string) {
	u, _ := url.Parse(c.Appliance) // was checked

	if port = u.Port(); port == "" {
		port = "443"
	}

	return u.Hostname(), port
}
