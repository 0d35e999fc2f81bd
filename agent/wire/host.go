package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// HostRegister makes an installed machine known. It is signed with the key that
// it names.
type HostRegister struct {
	MAC          string   `json:"mac"`            // of the NIC that reaches the appliance
	MACs         []string `json:"macs,omitempty"` // of its other NICs
	Hostname     string   `json:"hostname"`
	PublicKey    string   `json:"public_key,omitempty"` // Ed25519, base64; absent only where the appliance trusts its network
	AgentVersion string   `json:"agent_version,omitempty"`
	EnrolKey     string   `json:"enrol_key,omitempty"` // where the appliance asks for one; a secret
}

// Validate checks shape and limits.
func (h HostRegister) Validate() error {
	var f faults

	f.mac("mac", h.MAC)
	f.need("hostname", h.Hostname, MaxName)
	f.atMost("macs", len(h.MACs), MaxName)
	f.atMost("agent_version", len(h.AgentVersion), MaxName)
	f.atMost("enrol_key", len(h.EnrolKey), MaxToken)

	for _, mac := range h.MACs {
		f.mac("macs", mac)
	}

	if h.PublicKey != "" {
		if raw, err := base64.StdEncoding.DecodeString(h.PublicKey); err != nil || len(raw) != ed25519.PublicKeySize {
			f.add("public_key must be the 32 bytes of an Ed25519 key in base64")
		}
	}

	return f.err()
}

// HostRegistered answers [HostRegister]: with 201 when the host is new.
type HostRegistered struct {
	Host HostInfo `json:"host"`
}

// HostInfo is what an installed machine may know of itself.
type HostInfo struct {
	MAC         string   `json:"mac"` // the primary one: the address of its heartbeats
	Name        string   `json:"name"`
	KeyID       string   `json:"key_id,omitempty"`
	KeyState    KeyState `json:"key_state,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"` // what the operator compares
}

// Validate checks shape and limits.
func (h HostRegistered) Validate() error {
	var f faults

	f.mac("host.mac", h.Host.MAC)
	f.need("host.name", h.Host.Name, MaxName)
	f.atMost("host.key_id", len(h.Host.KeyID), MaxName)
	f.atMost("host.fingerprint", len(h.Host.Fingerprint), MaxName)

	return f.err()
}

// KeyState says what a host key is good for.
type KeyState string

// The states of a host key.
const (
	KeyPending  KeyState = "pending"  // the operator has yet to approve it
	KeyApproved KeyState = "approved" // its host may be told to reboot
	KeyRevoked  KeyState = "revoked"
)

// UnmarshalText refuses what is no state of a key.
func (k *KeyState) UnmarshalText(text []byte) error {
	return decodeEnum("key state", text, []KeyState{KeyPending, KeyApproved, KeyRevoked}, k)
}

// HostHeartbeat is the sign of life of an installed machine, every 30 s.
type HostHeartbeat struct {
	AgentVersion string  `json:"agent_version"`
	UptimeS      Seconds `json:"uptime_s"`
	BootID       string  `json:"boot_id"`
	Refusal      string  `json:"refusal,omitempty"` // why it did not reboot when it was told to: "2 users are logged in"
}

// Validate checks shape and limits.
func (h HostHeartbeat) Validate() error {
	var f faults

	f.atMost("agent_version", len(h.AgentVersion), MaxName)
	f.seconds("uptime_s", h.UptimeS)
	f.need("boot_id", h.BootID, MaxName)
	f.atMost("refusal", len(h.Refusal), MaxText)

	return f.err()
}

// HostOrder answers [HostHeartbeat].
type HostOrder struct {
	Cmd        HostCommand `json:"cmd"`
	KeyState   KeyState    `json:"key_state,omitempty"` // of the key that signed
	ServerTime Time        `json:"server_time,omitzero"`
}

// Validate checks shape and limits.
func (h HostOrder) Validate() error {
	var f faults

	f.need("cmd", string(h.Cmd), MaxName)

	return f.err()
}

// HostCommand tells an installed machine what to do.
type HostCommand string

// The commands to an installed machine.
const (
	HostContinue HostCommand = "continue"
	HostReboot   HostCommand = "reboot_for_vetting" // given once; never to a key that is not approved
)

// UnmarshalText refuses what is no command.
func (h *HostCommand) UnmarshalText(text []byte) error {
	return decodeEnum("host command", text, []HostCommand{HostContinue, HostReboot}, h)
}

// The headers of a signed call.
const (
	HeaderKey       = "Vetting-Key"       // key id: the first 32 hex digits of the SHA-256 of the public key
	HeaderTime      = "Vetting-Time"      // RFC 3339 with milliseconds; grows with each call of a key
	HeaderSignature = "Vetting-Signature" // base64 of the Ed25519 signature
)

// DetailServerTime is the detail of a refusal for the time: the caller sets its
// clock by it, for these calls only, and signs anew.
const DetailServerTime = "server_time"

// Signature is what a signed call carries in its headers.
type Signature struct{ Key, Time, Value string }

// Sign signs a call with a host's key.
func Sign(key ed25519.PrivateKey, method, path string, at time.Time, body []byte) Signature {
	public, _ := key.Public().(ed25519.PublicKey)
	s := Signature{Key: KeyID(public), Time: At(at).Format(timeLayout)}
	s.Value = base64.StdEncoding.EncodeToString(ed25519.Sign(key, s.covers(method, path, body)))

	return s
}

// KeyID names a public key.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)

	return hex.EncodeToString(sum[:16])
}

// covers is the text that is signed: a label, then method, path, time and the
// SHA-256 of the body, a line each, so that no part can be taken for another.
func (s Signature) covers(method, path string, body []byte) []byte {
	sum := sha256.Sum256(body)

	return []byte(strings.Join([]string{"vetting-host-call-1", method, path, s.Time, hex.EncodeToString(sum[:])}, "\n"))
}

// errSignature says nothing of why: who signs knows.
var errSignature = errors.New("the signature does not fit the call")

// Verify checks a call against a public key and returns when it was signed. The
// caller judges the time.
func (s Signature) Verify(public ed25519.PublicKey, method, path string, body []byte) (time.Time, error) {
	at, err := time.Parse(timeLayout, s.Time)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the time of a signature: %.64q is not RFC 3339 with milliseconds", s.Time)
	}

	value, err := base64.StdEncoding.DecodeString(s.Value)
	if err != nil || len(public) != ed25519.PublicKeySize || !ed25519.Verify(public, s.covers(method, path, body), value) {
		return time.Time{}, errSignature
	}

	return at, nil
}

// AuthHost is the signature of a host's key.
const AuthHost Auth = "host signature"

// CallHostRegister makes an installed machine known.
func CallHostRegister() Call[HostRegister, HostRegistered] {
	c := call[HostRegister, HostRegistered]("host-register",
		"An installed machine makes itself and its key known; an operator approves the key.", AuthHost, MaxSmallBody)
	c.Path = "/api/v1/hosts"

	return c
}

// CallHostHeartbeat is the sign of life of an installed machine.
func CallHostHeartbeat() Call[HostHeartbeat, HostOrder] {
	c := call[HostHeartbeat, HostOrder]("host-heartbeat",
		"The sign of life of an installed machine; the answer may tell it to reboot into the vetting.", AuthHost, MaxSmallBody)
	c.Path = "/api/v1/hosts/{mac}/heartbeat"

	return c
}

// HostTarget returns the path of a host's heartbeats.
func HostTarget(mac string) string { return "/api/v1/hosts/" + mac + "/heartbeat" }

// HostRoutes returns the calls of installed machines.
func HostRoutes() []Route {
	return []Route{CallHostRegister().Route, CallHostHeartbeat().Route}
}

// The codes by which an installed machine tells refusals of one status apart.
const (
	CodeKeyUnknown = "host/key-unknown" // 401: register again
	CodeKeyRefused = "host/key-refused" // 401, 403: the signature or the key is no good
	CodeDeleted    = "host/deleted"     // 403: an operator deleted the host; ask seldom
	CodeClock      = "host/clock"       // 401: the time of the signature; DetailServerTime tells the right one
)
