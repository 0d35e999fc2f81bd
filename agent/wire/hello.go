package wire

import "net/netip"

// Hello is the agent's first word, authorised by the boot token, which it does
// not consume.
type Hello struct {
	ProtocolVersion int          `json:"protocol_version"`
	AgentVersion    string       `json:"agent_version"`
	MAC             string       `json:"mac"`
	IP              string       `json:"ip"`
	BootID          string       `json:"boot_id"` // /proc/sys/kernel/random/boot_id
	Kernel          string       `json:"kernel"`  // uname -r
	Firmware        FirmwareMode `json:"firmware"`
	SecureBoot      bool         `json:"secure_boot"`
	ImageID         string       `json:"image_id,omitempty"` // SHA-256 of the running image's manifest
}

// Validate checks shape and limits. The version is judged by the receiver, which
// says which ones it speaks.
func (h Hello) Validate() error {
	var f faults

	f.mac("mac", h.MAC)
	f.need("agent_version", h.AgentVersion, MaxName)
	f.need("boot_id", h.BootID, MaxName)
	f.need("firmware", string(h.Firmware), MaxName)

	if _, err := netip.ParseAddr(h.IP); err != nil && h.IP != "" {
		f.add("ip %.64q is not an IP address", h.IP)
	}

	f.atMost("kernel", len(h.Kernel), MaxName)
	f.atMost("image_id", len(h.ImageID), MaxName)

	return f.err()
}

// HelloReply answers [Hello].
type HelloReply struct {
	State      State `json:"state"`
	ServerTime Time  `json:"server_time"` // the agent sets its clock by it
}

// Validate demands a state and a time.
func (h HelloReply) Validate() error {
	var f faults

	f.need("state", string(h.State), MaxName)

	if h.ServerTime.IsZero() {
		f.add("server_time is missing")
	}

	return f.err()
}
