package core

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"
)

// HostKey is the key that an installed host signs its calls with.
type HostKey struct {
	ID          string       `json:"id"` // KeyID of Public
	Host        MAC          `json:"host"`
	Public      []byte       `json:"public"`      // Ed25519, 32 bytes
	Fingerprint string       `json:"fingerprint"` // KeyFingerprint of Public: what the operator compares
	State       HostKeyState `json:"state"`
	HostName    string       `json:"host_name,omitempty"` // as it calls itself
	CreatedAt   time.Time    `json:"created_at"`
	DecidedAt   time.Time    `json:"decided_at,omitzero"`
	DecidedBy   string       `json:"decided_by,omitempty"`
}

// HostKeyState says what a host key is good for.
type HostKeyState string

// The states of a host key. Only an approved one may be told to reboot its host.
const (
	HostKeyPending  HostKeyState = "pending"
	HostKeyApproved HostKeyState = "approved"
	HostKeyRevoked  HostKeyState = "revoked"
)

// KeyID names a public key: the first 32 hex digits of its SHA-256.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)

	return hex.EncodeToString(sum[:16])
}

// KeyFingerprint writes a public key as OpenSSH does, for people to compare:
// "SHA256:" and base64 of the SHA-256 of the key in SSH's wire format (RFC 4253
// section 6.6, RFC 8709 section 4).
func KeyFingerprint(public ed25519.PublicKey) string {
	blob := append([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"), public...)
	sum := sha256.Sum256(blob)

	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// Presence is what was last heard of an installed host.
type Presence struct {
	Host         MAC           `json:"host"`
	Online       bool          `json:"online"`
	Since        time.Time     `json:"since"`     // of Online as it is
	LastSeen     time.Time     `json:"last_seen"` // written down at changes and every few minutes
	AgentVersion string        `json:"agent_version,omitempty"`
	BootID       string        `json:"boot_id,omitempty"`
	Uptime       time.Duration `json:"uptime,omitempty"`
	KeyID        string        `json:"key_id,omitempty"`  // it signed with; empty: unsigned
	Refusal      string        `json:"refusal,omitempty"` // why it would not reboot, as it said last
}

// SelfRegistration is an installed host that makes itself known.
type SelfRegistration struct {
	MAC          MAC
	Aliases      []MAC // its other NICs
	HostName     string
	PublicKey    []byte // Ed25519; empty: it has none
	AgentVersion string
	EnrolKey     string // where the appliance asks for one
}

// HostBeat is a sign of life of an installed host.
type HostBeat struct {
	KeyID        string // whose signature was checked; empty: the call was not signed
	AgentVersion string
	BootID       string
	Uptime       time.Duration
	Refusal      string // why it did not reboot when told to
}

// HostCommand tells an installed host what to do.
type HostCommand string

// The commands to an installed host.
const (
	HostContinue HostCommand = "continue"
	HostReboot   HostCommand = "reboot_for_vetting" // given once
)
