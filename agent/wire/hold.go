package wire

import "strings"

// Hold says that the machine's SSH server is up, in FailedHolding. It may be said
// again, and must be after every claim: the host key is made anew by each boot.
type Hold struct {
	IP         string `json:"ip"`           // where the server listens; must be where the call comes from
	SSHHostKey string `json:"ssh_host_key"` // "ssh-ed25519 AAAA…", without comment
}

// Validate checks shape and limits.
func (h Hold) Validate() error {
	var f faults

	f.need("ip", h.IP, MaxName)
	f.need("ssh_host_key", h.SSHHostKey, MaxHostKey)

	if strings.ContainsAny(h.SSHHostKey, "\r\n") {
		f.add("ssh_host_key must be one line")
	}

	return f.err()
}

// HoldReply says who may come in: the operator with the key of this run, and the
// appliance's own web terminal.
type HoldReply struct {
	AuthorizedKeys []string `json:"authorized_keys"` // lines of authorized_keys (sshd(8)); replace those of the answer before
	Until          Time     `json:"until,omitzero"`  // when the hold ends and the machine is powered off
}

// Validate checks shape and limits.
func (h HoldReply) Validate() error {
	var f faults

	f.atMost("authorized_keys", len(h.AuthorizedKeys), MaxName)

	for _, key := range h.AuthorizedKeys {
		f.need("authorized_keys", key, MaxHostKey)

		if strings.ContainsAny(key, "\r\n") {
			f.add("authorized_keys must be one line each")
		}
	}

	return f.err()
}

// CallHold opens the hold of a failed host.
func CallHold() Call[Hold, HoldReply] {
	return call[Hold, HoldReply]("hold",
		"The SSH server of a held machine is up; the answer says which keys it takes.", AuthSession, MaxSmallBody)
}
