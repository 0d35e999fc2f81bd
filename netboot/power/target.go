package power

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"vetting/core"
)

// Method names a way to switch a machine.
type Method string

// The methods.
const (
	WoL     Method = "wol"     // magic packet: on, and nothing else
	IPMI    Method = "ipmi"    // RMCP+ on UDP 623
	Redfish Method = "redfish" // HTTPS to the BMC
	Webhook Method = "webhook" // a program of the operator's own
	Manual  Method = "manual"  // the operator presses the button
)

// Secret is a text that is not printed, logged or marshalled by accident.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}

	return "[hidden]"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Target is a machine and how it is reached by one method.
type Target struct {
	Method Method
	Host   string     // the machine's name, for the webhook's receiver
	MACs   []core.MAC // primary first; wol wakes each, webhook tells them

	// Address is the BMC's: "10.0.0.7", "bmc-7.lan:623", "[fd00::7]"; for
	// redfish also with a scheme, "https://10.0.0.7:8443".
	Address  string
	User     string
	Password Secret

	// Pin is the SHA-256 of the BMC's certificate (DER), hexadecimal with or
	// without colons: exactly this one is trusted, whatever its name and dates.
	Pin string
	// Insecure trusts any certificate, and allows http. Without it and Pin the
	// certificate must be good for Address by the system's authorities.
	Insecure bool
	// System names the machine in a BMC that has several (the Id of its
	// ComputerSystem); empty: the only one.
	System string

	URL    string // webhook: where to post; http or https
	Secret Secret // webhook: what the message is signed with
}

// The most that fields may have; IPMI's are of its protocol (§22.29, §22.30).
const (
	maxMACs         = 8
	maxIPMIUser     = 16
	maxIPMIPassword = 20
	maxText         = 255
)

// Validate names everything that is wrong with t, joined, each with its field.
// No secret is in the error.
func (t *Target) Validate() error {
	if t.Method == Webhook {
		return errors.Join(t.checkSettings(), t.checkSecret())
	}

	return t.checkSettings()
}

// checkSettings is Validate without what a webhook is signed with, which people
// give after the rest.
func (t *Target) checkSettings() error {
	switch t.Method {
	case WoL:
		return t.checkMACs(1)
	case IPMI:
		return errors.Join(t.checkAddress(), t.checkLength("user", t.User, maxIPMIUser), t.checkLength("password", string(t.Password), maxIPMIPassword))
	case Redfish:
		return errors.Join(t.checkAddress(), t.checkTrust(), t.checkLength("user", t.User, maxText), t.checkLength("password", string(t.Password), maxText))
	case Webhook:
		return errors.Join(t.checkMACs(0), t.checkTrust(), t.checkURL())
	case Manual:
		return nil
	default:
		return fmt.Errorf("method: %q is none of wol, ipmi, redfish, webhook, manual", t.Method)
	}
}

func (t *Target) checkMACs(least int) error {
	if len(t.MACs) < least || len(t.MACs) > maxMACs {
		return fmt.Errorf("macs: %d given, needed are %d to %d", len(t.MACs), least, maxMACs)
	}

	for _, mac := range t.MACs {
		if clean, err := core.ParseMAC(string(mac)); err != nil || clean != mac {
			return fmt.Errorf("macs: %q is not a MAC address in lower case with colons", mac)
		}
	}

	return nil
}

func (t *Target) checkLength(field, value string, most int) error {
	if len(value) > most || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("%s: at most %d bytes and no control characters", field, most)
	}

	return nil
}

func (t *Target) checkAddress() error {
	if t.Method == Redfish {
		_, err := t.endpoint()

		return err
	}

	_, _, err := t.hostPort(ipmiPort)

	return err
}

// hostPort splits Address, with the port it has or the usual one.
func (t *Target) hostPort(usual int) (host string, port int, err error) {
	fault := fmt.Errorf("address: %q is not an address or name, with or without a port", t.Address)

	host, port = strings.Trim(t.Address, "[]"), usual
	if h, p, split := net.SplitHostPort(t.Address); split == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return "", 0, fault
		}

		host, port = h, int(n)
	}

	if host == "" || len(host) > maxText || strings.ContainsAny(host, "/@?#[] \t\r\n\\") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return "", 0, fault
	}

	return host, port, nil
}

// endpoint returns the root of the Redfish service, without a path.
func (t *Target) endpoint() (*url.URL, error) {
	text := t.Address
	if !strings.Contains(text, "://") {
		if ip := net.ParseIP(text); ip != nil && ip.To4() == nil {
			text = "[" + text + "]"
		}

		text = "https://" + text
	}

	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("address: %q is not an address or name, with or without https:// and a port", t.Address)
	}

	if u.Scheme != "https" && (u.Scheme != "http" || !t.Insecure) {
		return nil, errors.New("address: only https, unless insecure is set, which sends the password for all to read")
	}

	u.Path = ""

	return u, nil
}

func (t *Target) checkTrust() error {
	if t.Pin != "" && t.Insecure {
		return errors.New("pin and insecure contradict each other: give one")
	}

	if t.Pin == "" {
		return nil
	}

	_, err := t.pin()

	return err
}

// pin returns the bytes of Pin.
func (t *Target) pin() ([]byte, error) {
	sum, err := hex.DecodeString(strings.ReplaceAll(t.Pin, ":", ""))
	if err != nil || len(sum) != 32 {
		return nil, errors.New("pin: give the SHA-256 of the certificate, 64 hexadecimal digits with or without colons")
	}

	return sum, nil
}

// checkURL does not repeat the URL: its path often is a secret.
func (t *Target) checkURL() error {
	u, err := url.Parse(t.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("url: give where to post, beginning with https:// or http://")
	}

	return nil
}

func (t *Target) checkSecret() error {
	if len(t.Secret) < 16 {
		return errors.New("secret: at least 16 characters, so that nobody guesses what the messages are signed with")
	}

	return nil
}

// shown is how the target is named in errors and attempts.
func (t *Target) shown() string {
	switch t.Method {
	case IPMI:
		return t.Address
	case Redfish:
		if u, err := t.endpoint(); err == nil {
			return u.Host
		}

		return ""
	case Webhook:
		if u, err := url.Parse(t.URL); err == nil {
			return u.Host
		}

		return ""
	case WoL:
		if len(t.MACs) > 0 {
			return string(t.MACs[0])
		}

		return ""
	default:
		return t.Host
	}
}
