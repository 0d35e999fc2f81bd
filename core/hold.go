package core

import (
	"net/netip"
	"time"
)

// Hold is what is known of the SSH door of a held host. It is open until the
// run's deadline. The operator's private key is not in it, nor anywhere else:
// see HoldKey.
type Hold struct {
	OpenedAt    time.Time  `json:"opened_at"`
	Epoch       int        `json:"epoch"`             // of the boot that opened it
	Addr        netip.Addr `json:"addr"`              // on the test network
	HostKey     string     `json:"host_key"`          // "ssh-ed25519 AAAA…", made by the agent for this boot
	Fingerprint string     `json:"fingerprint"`       // of HostKey, "SHA256:…"
	PublicKey   string     `json:"public_key"`        // the operator's, as in authorized_keys
	TakenAt     time.Time  `json:"taken_at,omitzero"` // when its private half was handed out
	TakenBy     string     `json:"taken_by,omitempty"`
	Light       *Light     `json:"light,omitempty"` // the newest that was asked for
}

// Kinds of parts that are found by a light of their own.
const (
	LightDisk = "disk" // that of the slot it is in
	LightNIC  = "nic"  // those of the port
)

// How long a light is on.
const (
	LightFor  = time.Minute // unless something else is said
	LightMost = 10 * time.Minute
)

// Light is that a part of a held host is to be found by its light.
type Light struct {
	Kind  string    `json:"kind"`
	Name  string    `json:"name"` // a disk's serial; the name of a port, as the inventory has it
	Until time.Time `json:"until"`
	By    string    `json:"by"`
}

// LightWish is what is asked for.
type LightWish struct {
	Kind string
	Name string
	For  time.Duration // 0: LightFor
	Off  bool          // switch whatever light is on off
}

// HoldCall is the agent's word that its SSH server is up.
type HoldCall struct {
	IP         string     // as the agent believes
	From       netip.Addr // where the call came from; zero: not known
	SSHHostKey string     // "ssh-ed25519 AAAA…"
}

// HoldReply says who may come in.
type HoldReply struct {
	AuthorizedKeys []string  // lines of authorized_keys: the operator's, the appliance's own for its web terminal
	Until          time.Time // then the machine is powered off
}

// HoldKey is what an operator gets, once, to look inside a held host.
type HoldKey struct {
	Run        RunID     `json:"run"`
	Host       MAC       `json:"host"`
	HostName   string    `json:"host_name"`
	Addr       string    `json:"addr"`
	User       string    `json:"user"`
	PrivateKey string    `json:"private_key"` // OpenSSH format, for a file of mode 0600
	FileName   string    `json:"file_name"`
	KnownHosts string    `json:"known_hosts"` // a line under the alias
	Alias      string    `json:"alias"`       // for HostKeyAlias
	Until      time.Time `json:"until"`
}

// WipeOverride lets the destructive test pass over the probe for foreign data on
// the named disks, once, for a short while. Every other gate stays shut.
type WipeOverride struct {
	Serials []string  `json:"serials"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Until   time.Time `json:"until"`
	UsedAt  time.Time `json:"used_at,omitzero"` // when the agent took it
	Reason  string    `json:"reason,omitempty"` // as the operator gave it
}

// WipeFlag writes the override of one disk as the agent gets it in its flags.
func WipeFlag(serial string) string { return wipeFlag + serial }

const wipeFlag = "override-wipe-probe:"
